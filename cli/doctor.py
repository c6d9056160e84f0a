"""`translate doctor`: what would be used on this machine, and why."""

import platform

import typer

_PACKAGES = ("torch", "triton", "kornia", "av", "opencv-python-headless", "pillow", "safetensors")


def doctor() -> None:
    """Say which device, precision and backend would be used, and why."""
    import torch

    from translate import __version__, kernels
    from translate.device import choose_device, choose_precision
    from translate.weights import registry

    device = choose_device()
    precision = choose_precision("auto", device.value)
    (backend,) = kernels.explain(kernels.instance_norm, torch.ones(1, 1, 2, 2, device=device.value))
    rows = {
        "translate": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **{name: _version(name) for name in _PACKAGES},
        "device": f"{device.value} ({device.why})",
        "precision": f"{precision.value} ({precision.why})",
        "backend": "{} ({})".format(*backend.removeprefix("instance_norm: ").split(", ", 1)),
        "threads": str(torch.get_num_threads()),
        "weights": ", ".join(registry.entries()),
    }
    for name, value in rows.items():
        typer.echo(f"{name:24} {value}")
    for entry in registry.entries().values():
        registry.verified(entry)


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # a slow import, which --help does without

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
