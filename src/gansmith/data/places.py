"""A folder of files, here or elsewhere, read whole or by parts through fsspec: s3://, gs://, hf://, http://."""

import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansmith.data.naming import is_remote
from gansmith.errors import UserError
from gansmith.text import one_line, printable

_EXTRAS = {"http": "gansmith[http]", "https": "gansmith[http]", "hf": "gansmith[hub]"}
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_LOGGERS = ("gcsfs", "huggingface_hub")
"""Packages that log, at length, what they raise as well."""
_PAUSES = (0.5, 2.0)
"""Seconds after which a read over http is tried again that failed; what reads the other services does so itself."""


class Place:
    """A folder by its path or address. What fails is a UserError that names the file."""

    def __init__(self, source: str | Path) -> None:
        self.local = not is_remote(source)
        self.where = str(source).rstrip("/")
        if not self.local and re.match(r"[^/]+://[^/@]*:[^/@]*@", self.where):
            raise UserError("the address of the data holds a password; leave that to the service's own settings")
        self._files, self._root = self._open()

    def _open(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        kind = self.where.partition("://")[0]
        if not logging.getLogger().handlers:  # a program that sets up its logging wants to see it
            for name in _LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            files, root = url_to_fs(self.where)
        except ImportError as error:
            package = _EXTRAS.get(kind) or _PACKAGES.get(kind)
            what = f"pip install '{package}'" if package else one_line(error)
            raise UserError(f"{printable(self.where)}: what reads {kind}:// is not installed; {what}") from None
        except Exception as error:  # each service has its own
            raise UserError(f"{printable(self.where)}: cannot be opened ({one_line(error)}); check it") from None
        return files, root.rstrip("/")

    def name(self, file: str) -> str:
        """A file's full name, to be shown."""
        return printable(f"{self.where}/{file}")

    def exists(self, file: str) -> bool:
        """Whether a file is there; UserError where that cannot be told."""
        return bool(self._try(file, lambda: self._files.exists(f"{self._root}/{file}")))

    def read(self, file: str, most: int) -> bytes:
        """A file of at most so many bytes."""

        def read() -> bytes:
            with self._files.open(f"{self._root}/{file}", "rb") as opened:
                return bytes(opened.read(most + 1))

        content: bytes = self._try(file, read)
        if len(content) > most:
            raise UserError(f"{self.name(file)}: is larger than {most:,} bytes; it was changed")
        return content

    def open(self, file: str) -> Any:
        """A file that can be read from any place in it, by what knows how."""
        return self._try(file, lambda: self._files.open(f"{self._root}/{file}", "rb"))

    def parts(self, files: Sequence[str], starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
        """Bytes ``start`` to ``end`` of each file, asked for together."""
        paths = [f"{self._root}/{file}" for file in files]

        def read() -> list[bytes]:
            got = self._files.cat_ranges(paths, list(starts), list(ends), on_error="return")
            for self._last, each in zip(files, got, strict=True):
                if isinstance(each, Exception):
                    raise each
            # a server that knows no ranges sends the whole file
            wanted = zip(got, starts, ends, strict=True)
            return [bytes(each[a:b] if len(each) > b - a else each) for each, a, b in wanted]

        self._last = files[0] if files else ""
        found: list[bytes] = self._try("", read)
        return found

    def sizes(self, folders: Sequence[str]) -> dict[str, int] | None:
        """The bytes of each file in some folders, by their name; None where a service does not list them."""
        if not self.local and self.where.startswith("http"):
            return None
        found: dict[str, int] = {}
        try:
            self._files.invalidate_cache()
            for folder in folders:
                for each in self._files.ls(f"{self._root}/{folder}".rstrip("/"), detail=True):
                    if each.get("size") is not None:
                        found[f"{folder}/{each['name'].rpartition('/')[2]}".lstrip("/")] = int(each["size"])
        except Exception:  # then what is wrong is said when it is read
            return None
        return found

    def _try(self, file: str, work: Any) -> Any:
        """What ``work`` returns; over http it is tried three times."""
        for pause in (*(_PAUSES if self.where.startswith("http") else ()), None):
            try:
                return work()
            except (FileNotFoundError, PermissionError) as error:
                what = "is missing" if isinstance(error, FileNotFoundError) else "may not be read"
                raise UserError(f"{self.name(file or self._last)}: {what}; restore it") from None
            except Exception as error:  # each service has its own
                if pause is None:
                    advice = "try again" if self.local else "check the network and the service's settings"
                    raise UserError(
                        f"{self.name(file or self._last)}: cannot be read ({one_line(error)}); {advice}"
                    ) from None
                time.sleep(pause)
        raise AssertionError
