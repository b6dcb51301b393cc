"""An encoder as one safetensors file: weights in half precision, a card in the header, and no code."""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from gansmith.encoders.network import Architecture, Network, blank
from gansmith.errors import UserError
from gansmith.files import write_bytes

KEY = "gansmith-encoder"
MAX_BYTES = 64 << 20
MAX_CARD = 4 << 20

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
NAME = r"^[a-z0-9][a-z0-9-]{0,79}$"
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Test(BaseModel):
    """How many of the test images were classified right."""

    model_config = _STRICT
    images: Annotated[int, Field(ge=1)]
    correct: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _no_more_than_all(self) -> "Test":
        if self.correct > self.images:
            raise UserError("more right answers than images")
        return self


class Card(BaseModel):
    """Everything about an encoder but its weights."""

    model_config = _STRICT
    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    classes: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(strict=False)]
    architecture: Architecture
    test: Test | None = None
    trained_on: Hash | None = None
    """Fingerprint of the training data."""
    training: dict[str, str | int | float | bool] = {}
    """Settings and seed that it was trained with."""
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """SHA-256 over the architecture and the stored weights."""

    @model_validator(mode="after")
    def _a_name_for_each_class(self) -> "Card":
        if len(self.classes) != self.architecture.classes:
            raise UserError("it has not as many classes as logits")
        return self

    def with_digest(self, network: Network) -> "Card":
        """The card with the digest of these weights."""
        return self.model_copy(update={"digest": digest(self.architecture, stored(network))})


def stored(network: Network) -> dict[str, torch.Tensor]:
    """A network's weights in float16, as files hold them. Raises UserError if one is not finite then."""
    result = {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}
    for name, tensor in result.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"the encoder's {name} is not finite; train it anew with another seed")
    return result


def digest(architecture: Architecture, tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 in hex over the architecture and, in order of name, each tensor's name, shape and float16 values."""
    found = hashlib.sha256(json.dumps(architecture.model_dump(mode="json"), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\n{name} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.numpy().astype("<f2").tobytes())
    return found.hexdigest()


def write(path: Path, card: Card, network: Network) -> Path:
    """Writes the file whole or not at all. UserError for another suffix; OSError if it cannot be."""
    check_target(path)
    write_bytes(path, save(stored(network), metadata={KEY: card.model_dump_json()}))
    return path


def check_target(path: Path) -> None:
    """Raises UserError unless an encoder can be written to this name."""
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: an encoder is a .safetensors file; give it a name that ends so")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")


def check_name(name: str) -> None:
    """Raises UserError unless an encoder can be called this."""
    if not re.fullmatch(NAME, name):
        raise UserError(f"an encoder's name is of lower case letters, digits and hyphens, 80 at most; {name!r} is not")


def read(path: Path) -> tuple[Card, Network]:
    """The card and the network, in float32 and inference mode. UserError, in one line, for anything else."""
    if not path.is_file():
        raise UserError(f"{path}: no encoder here; `gansmith encoder train DATA -o {path}` makes one")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: is larger than {MAX_BYTES >> 20} MB, which no encoder is")
    try:
        return _read(path)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: is no encoder that can be read ({where or 'card'}: {first['msg']})") from None
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no encoder that can be read ({' '.join(str(error).split())})") from None


def _read(path: Path) -> tuple[Card, Network]:
    with safe_open(path, "pt") as file:
        text = (file.metadata() or {}).get(KEY)
        if text is None:
            raise UserError("it is a safetensors file, but not one of an encoder")
        if len(text) > MAX_CARD:
            raise UserError("its card is too long")
        card = Card.model_validate_json(text)
        network = blank(card.architecture)
        wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        if set(file.keys()) != set(wanted):
            raise UserError("its tensors are not those of its architecture")
        tensors = {}
        for name, shape in wanted.items():
            part = file.get_slice(name)
            if tuple(part.get_shape()) != shape or part.get_dtype() != "F16":
                raise UserError(f"{name} is {part.get_dtype()} {tuple(part.get_shape())}, not F16 {shape}")
            tensors[name] = file.get_tensor(name)
            if not bool(torch.isfinite(tensors[name]).all()):
                raise UserError(f"{name} holds values that are not finite")
    if digest(card.architecture, tensors) != card.digest:
        raise UserError("its weights are not those that its digest names: altered or damaged")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return card, network
