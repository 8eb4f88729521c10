"""Rendered photos and a rendered conveyor belt of small parts, for the demo and the tests. Internal.

relief.py, flat_parts.py, turned_parts.py, parts.py    the shape of each part
light.py, shading.py                                   from a shape to a lit part with its shadow
scene.py, camera.py                                    the belt around it, and the photo
photos.py, conveyor.py                                 labelled photos, and labelled frames of a moving belt
"""
