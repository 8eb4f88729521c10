"""A bundle over HTTP: the Open Inference Protocol, ``/v1/classify``, metrics and the live page. Internal.

request -> guard.py (who may ask, and how much) -> app.py (which address) -> lane.py (the queue of a bundle)
        -> tensors.py or pictures.py (what was asked) -> Classifier -> the answer
"""
