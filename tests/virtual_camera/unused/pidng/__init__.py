"""picamera2 imports it for raw pictures in files, which nothing here uses."""
