"""Labelled photos: folders of classes and tables, their files, and their pixels. Internal."""
