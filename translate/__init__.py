"""Image-to-image translation for folders of photographs.

    import translate
    from translate import images
    night = translate.load("cyclegan-night")          # a name, or a weights file
    [(picture, remark)] = night([images.read("photo.jpg")])

Importing this package does not import torch; using it does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from translate.engine import Translator

__version__ = "0.1.0"
__all__ = ["Translator", "__version__", "load"]


def load(weights: str, device: str = "auto", precision: str = "auto") -> "Translator":
    """A network that is ready to translate pictures.

    Args:
        weights: a name from `translate weights list`, or a weights file.
        device: "auto", or a name that torch knows.
        precision: "auto", "fp32", "bf16", "fp16" or "int8".
    """
    from translate import checkpoints, engine
    from translate.weights import registry

    return engine.Translator(checkpoints.load(registry.find(weights)[0]), device, precision)


def __getattr__(name: str) -> Any:
    if name == "Translator":
        from translate.engine import Translator

        return Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
