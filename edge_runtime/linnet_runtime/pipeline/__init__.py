"""Cameras' frames to results: a thread for each camera, a mailbox, and the pipeline that classifies.
Internal.
"""
