"""A generator leaves the workshop: as a folder, an ONNX file, a torch.export program, or a web page."""

from gansmith.exports.formats import TO, Exported, Format, export, target

__all__ = ["TO", "Exported", "Format", "export", "target"]
