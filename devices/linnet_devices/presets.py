"""The TensorFlow Lite delegates that have a name, Coral's among them, from the sources of their vendors. Internal.

None of this hardware was available: docs/devices.md says what is proven and what is not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

_NXP_FIX = "NXP's Linux image for the board with eIQ has it, in /usr/lib"


@dataclass(frozen=True)
class Preset:
    """A delegate and what is known about it."""

    hardware: str
    libraries: tuple[str, ...] = ()
    """The file names of its library, tried in this order."""
    options: dict[str, str] = field(default_factory=dict)
    """Options of the library that are passed unless the user sets them."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables that are set unless they are set already."""
    model: str = "int8"
    """What kind of model it needs."""
    targets: tuple[str, ...] = ()
    """The targets of compilers whose models it runs, best first; it also runs int8 models that were compiled for
    none."""
    fix: str = ""
    """How to install it."""
    source: str = ""
    """Where these facts come from."""
    unavailable: str = ""
    """Why it can never be available; empty for one that can."""


PRESETS = {
    "vx": Preset(
        hardware="VeriSilicon NPUs: NXP i.MX 8M Plus, Amlogic A311D",
        libraries=("libvx_delegate.so",),
        environment={"USE_GPU_INFERENCE": "0"},  # NXP's libraries take 1 for the GPU
        fix=_NXP_FIX + "; elsewhere build VeriSilicon's tflite-vx-delegate",
        source="github.com/VeriSilicon/tflite-vx-delegate: vx_delegate_adaptor.cc; NXP IMXMLUG",
    ),
    "ethosu": Preset(
        hardware="Arm Ethos-U65: NXP i.MX 93",
        libraries=("libethosu_delegate.so",),
        model="int8, as it is or compiled by vela for ethos-u65-256",
        targets=("ethosu:imx93", "ethosu:u65-256"),
        fix=_NXP_FIX,
        source="github.com/nxp-imx/tflite-ethosu-delegate-imx: external_delegate_adaptor.cc, ethosu_delegate.cc",
    ),
    "neutron": Preset(
        hardware="eIQ Neutron: NXP i.MX 95",
        libraries=("libneutron_delegate.so",),
        model="int8, as it is or converted by the neutron-converter of the image's own release",
        fix=_NXP_FIX,
        source="github.com/nxp-imx/tflite-neutron-delegate: neutron_delegate.cc; eiq.nxp.com, Neutron Converter",
    ),
    "teflon": Preset(
        hardware="NPUs with a driver in Mesa: Amlogic A311D, NXP i.MX 8M Plus (etnaviv), RK3588 (rocket)",
        libraries=("libteflon.so", "/usr/lib/teflon/libteflon.so"),  # the second is Debian's
        model="int8 or uint8; which of its operations are taken depends on Mesa's version",
        fix="sudo apt install mesa-teflon-delegate (Debian 13 on arm64), with Linux 6.7 or newer",
        source="docs.mesa3d.org/teflon.html; Debian's mesa-teflon-delegate",
    ),
    "armnn": Preset(
        hardware="Mali GPUs through Arm NN",
        libraries=("libarmnnDelegate.so",),
        # With CpuAcc in the list, Arm NN would run on the CPU and still count as the device.
        options={"backends": "GpuAcc", "logging-severity": "fatal"},
        model="int8 or float",
        fix="unpack Arm NN's release for the machine and put its folder into LD_LIBRARY_PATH",
        source="github.com/ARM-software/armnn: delegate/DelegateQuickStartGuide.md",
    ),
    "nnapi": Preset(
        hardware="Android's accelerators",
        unavailable="NNAPI is a part of Android, deprecated since Android 15; its delegate is compiled into apps, and "
        "there is no library to load",
        fix="delegate:vx, which replaced NNAPI on NXP's Linux, or the delegate of the accelerator's vendor",
        source="developer.android.com: NNAPI Migration Guide; NXP IMXMLUG",
    ),
    "qnn": Preset(
        hardware="Qualcomm Hexagon",
        libraries=("libQnnTFLiteDelegate.so",),
        options={"backend_type": "htp"},
        model="int8",
        fix="install Qualcomm's AI Runtime (QAIRT), with its folders in LD_LIBRARY_PATH and ADSP_LIBRARY_PATH",
        source="docs.qualcomm.com 80-63442-10: External Delegate Options, Backend Library",
    ),
}

# Coral's compiler makes this operation; libedgetpu takes no other.
EDGETPU_OP = "edgetpu-custom-op"
EDGETPU_LIBRARY = {"darwin": "libedgetpu.1.dylib", "win32": "edgetpu.dll"}.get(sys.platform, "libedgetpu.so.1")
EDGETPU = Preset(
    hardware="Coral Edge TPU",
    libraries=(EDGETPU_LIBRARY,),
    model=f"compiled by edgetpu_compiler: it holds {EDGETPU_OP}",
    targets=("edgetpu",),
    fix="install libedgetpu1-std (coral.ai/software) and plug the accelerator in",
    source="github.com/google-coral/libedgetpu: edgetpu_delegate_for_custom_op_tflite_plugin.cc, edgetpu_c.cc",
)
