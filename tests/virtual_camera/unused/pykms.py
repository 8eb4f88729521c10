"""picamera2 imports it for previews on a screen, which nothing here uses."""


class PixelFormat:
    """Formats by name."""


for _name in ("RGB888", "BGR888", "XRGB8888", "XBGR8888", "YUV420", "YVU420", "NV12"):
    setattr(PixelFormat, _name, _name)
