"""Generators on the Hugging Face hub, hf://user/name: JSON and safetensors alone, up to a size, in the hub's cache."""

import os
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gansmith.errors import UserError
from gansmith.text import one_line, printable

PREFIX = "hf://"
LIMITS = {"config.json": 2**20, "model.safetensors": 2**31, "evaluation.json": 2**23}
"""The files that are fetched, and the most bytes of each."""
OPTIONAL = {"evaluation.json"}
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REFERENCE = re.compile(rf"(?:{PREFIX})?({_NAME}/{_NAME})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{{0,95}}))?")


def library() -> Any:
    """huggingface_hub. Raises UserError, with the extra to install, where it is missing."""
    if find_spec("huggingface_hub") is None:
        raise UserError("hf:// needs the hub's library; pip install 'gansmith[hub]'")
    return import_module("huggingface_hub")


def endpoint() -> str | None:
    """Where the hub is, if not at its usual address: $HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT") or None


def parts(reference: str) -> tuple[str, str | None]:
    """("user/name", revision or None) of user/name or hf://user/name@revision. Raises UserError for anything else."""
    match = _REFERENCE.fullmatch(reference)
    if match is None or any(part in match[1] for part in ("..", "--")) or match[1].endswith(".git"):
        raise UserError(f"{printable(reference)[:80]}: is no name on the hub; give user/name")
    return match[1], match[2]


def of_http(error: Exception) -> bool:
    """Whether it is of the library that the hub's own speaks HTTP with, whichever that is."""
    return type(error).__module__.startswith(("httpx", "httpcore", "requests"))


def fetch(reference: str) -> Path:
    """The folder that hf://user/name, or hf://user/name@revision, is fetched into; without a network the one kept.

    Raises UserError, in one line, for no such generator, files that are too large, and a hub out of reach.
    """
    name, revision = parts(reference)
    hub = library()
    found: list[Path] = []
    for file, most in LIMITS.items():
        try:
            path = _file(hub, name, file, revision, most)
        except UserError:
            raise
        except hub.errors.EntryNotFoundError as error:
            if file in OPTIONAL:
                continue
            missing = isinstance(error, hub.errors.LocalEntryNotFoundError)
            why = "the hub cannot be reached, and nothing is kept of it" if missing else f"no generator here ({file})"
            raise UserError(f"{reference}: {why}") from None
        except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError, hub.errors.GatedRepoError):
            raise UserError(f"{reference}: no such generator on the hub, or none that you may read") from None
        except hub.errors.HfHubHTTPError as error:
            raise UserError(f"{reference}: the hub refused ({one_line(error)[:120]})") from None
        found.append(path)
    return found[0].parent


def _file(hub: Any, name: str, file: str, revision: str | None, most: int) -> Path:
    """One file, its size known before it is fetched."""
    place = {"revision": revision, "endpoint": endpoint()}
    try:
        size = hub.get_hf_file_metadata(hub.hf_hub_url(name, file, **place)).size
    except hub.errors.HfHubHTTPError:
        raise
    except Exception as error:  # of whichever HTTP library the hub's is made with: out of reach
        if not isinstance(error, OSError) and not of_http(error):
            raise
        kept = hub.try_to_load_from_cache(name, file, revision=revision)
        if not isinstance(kept, str):
            raise hub.errors.LocalEntryNotFoundError(f"{file} is not kept") from None
        return Path(kept)
    if size is None or size > most:
        raise UserError(
            f"{PREFIX}{name}: {file} is larger than a generator's ({size or 'unknown'} bytes; at most {most:,})"
        )
    return Path(hub.hf_hub_download(name, file, **place))
