"""A real RTSP server on 127.0.0.1, by GStreamer. The system's Python runs it, for which apt has GStreamer's bindings.

/h264 and /mjpeg show a ball in motion, with "login" only to admin with the password "s3/cr@t". The first line of the
output is the port.

    python3 rtsp_server.py PORT SIDE [login]    (PORT 0: any)
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  # the versions come first

PASSWORD = "s3/cr@t"  # noqa: S105
H264 = "x264enc tune=zerolatency key-int-max=5 ! rtph264pay name=pay0 pt=96"
MJPEG = "jpegenc ! rtpjpegpay name=pay0 pt=26"


def factory(side: int, encoder: str) -> GstRtspServer.RTSPMediaFactory:
    made = GstRtspServer.RTSPMediaFactory()
    size = f"video/x-raw,format=I420,width={side},height={side},framerate=20/1"
    made.set_launch(f"( videotestsrc is-live=true pattern=ball ! {size} ! {encoder} )")
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    made.set_permissions(permissions)
    return made


def main(port: str, side: int, *, login: bool) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if login:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("admin", PASSWORD), token)
        server.set_auth(auth)
    mounts = server.get_mount_points()
    mounts.add_factory("/h264", factory(side, H264))
    mounts.add_factory("/mjpeg", factory(side, MJPEG))
    if not server.attach(None):
        sys.exit("the port is in use")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), login="login" in sys.argv)
