"""An S3 bucket in memory."""

from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


class MemoryS3(AbstractFileSystem):
    """Objects in memory in place of s3fs, which is made of the same classes."""

    protocol = "s3"
    cachable = False

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__()
        self.objects = objects
        self.fetched: list[tuple[int, int]] = []
        """First byte and end of each part of an object that was asked for."""
        self.error: Exception | None = None
        """What is raised instead of a part's bytes."""

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        place = self._strip_protocol(path)
        found: dict[str, int | None]
        if place in self.objects:
            found = {place: len(self.objects[place])}
        else:
            below = [name for name in self.objects if name.startswith(f"{place}/")]
            # An object has a size, and a folder none.
            parts = [(name, name.removeprefix(f"{place}/").partition("/")) for name in below]
            found = {f"{place}/{child}": None if rest else len(self.objects[name]) for name, (child, rest, _) in parts}
        if not found:
            raise FileNotFoundError(path)
        entries = [
            {"name": name, "size": size or 0, "type": "directory" if size is None else "file"}
            for name, size in found.items()
        ]
        return entries if detail else list(found)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> "Part":
        return Part(self, path, mode, **options)


class Part(AbstractBufferedFile):
    """An object of a `MemoryS3`."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        self.fs.fetched.append((start, end))
        if self.fs.error is not None:
            raise self.fs.error
        return bytes(self.fs.objects[self.path][start:end])
