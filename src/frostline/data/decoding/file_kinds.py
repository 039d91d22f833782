"""What a file really is, by its first bytes, whatever it is called; for those that are not read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from frostline.core.extras import pip_install

#: bytes that tell every kind below; the mark of some stands far in
HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    ``name``: in plain words, such as ``"an HTML page"``. ``remedy``: what to do, without a full
    stop; empty where nothing is to be done. ``picture``: whether files of the kind hold pictures,
    which somebody will miss. ``extra``: the extra of Frostline that reads it; empty for none.
    """

    name: str
    remedy: str = ""
    picture: bool = False
    extra: str = ""

    @property
    def reason(self) -> str:
        """Say why such a file cannot be read as an image."""
        said = self.name if self.picture else f"{self.name}, not an image"
        if self.extra:
            return f"{said}, which needs: {pip_install(self.extra)}"
        if self.picture:
            said += ", which is not read"
        return f"{said}: {self.remedy}" if self.remedy else said


_CONVERT = "save it as PNG or JPEG"
_EXPORT = "export it as TIFF or JPEG"
_WINDOW = "save it as 16-bit PNG or TIFF"

HEIF = Kind("HEIC", picture=True, extra="heif")
JPEG_XL = Kind("JPEG XL", picture=True, extra="jxl")
AVIF = Kind("AVIF", "update Pillow", picture=True)
RAW = Kind("a camera's raw file", _EXPORT, picture=True)
FILM = Kind("a film", "save its frames as images")
ZEROS = Kind("nothing but zeros", "copy or download it again")
LFS = Kind("a Git LFS pointer", "run 'git lfs pull'")
HTML = Kind("an HTML page", "the download failed or needs a login")
TEXT = Kind("text")
FORK = Kind("a resource fork of macOS", "the image lies beside it")

#: endings of files that hold pictures which are not read, or only with an extra
PICTURE_ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("heic", "heif", "hif", "jxl", "avif", "dcm", "dicom", "svg", "psd", "xcf", "eps", "ico"),
        *("cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "dng", "raf", "orf", "rw2", "pef"),
        *("exr", "hdr", "dds", "qoi", "tga", "jxr", "bpg", "djvu", "fits", "nii", "nrrd"),
    )
)

#: brands of the container that HEIC, AVIF, raw files and films share
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_FILM_BRANDS = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ")

#: signatures: where they stand, what they are, the kind; the first that fits counts
_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (128, b"DICM", Kind("DICOM", _WINDOW, picture=True)),
    (0, b"II*\x00\x10\x00\x00\x00CR", RAW),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIRS", RAW),
    (0, b"MMOR", RAW),
    (0, b"IIU\x00", RAW),
    (0, b"\x00MRM", RAW),
    (0, b"FOVb", RAW),
    (0, b"8BPS", Kind("a Photoshop file", _CONVERT, picture=True)),
    (0, b"gimp xcf", Kind("a GIMP file", _CONVERT, picture=True)),
    (0, b"%!PS", Kind("PostScript", _CONVERT, picture=True)),
    (0, b"\xc5\xd0\xd3\xc6", Kind("PostScript", _CONVERT, picture=True)),
    (0, b"\x00\x00\x01\x00", Kind("an icon file", _CONVERT, picture=True)),
    (0, b"\x00\x00\x02\x00", Kind("a cursor file", _CONVERT, picture=True)),
    (0, b"icns", Kind("an icon file", _CONVERT, picture=True)),
    (0, b"v/1\x01", Kind("OpenEXR", _WINDOW, picture=True)),
    (0, b"#?RADIANCE", Kind("Radiance HDR", _WINDOW, picture=True)),
    (0, b"DDS ", Kind("a DDS texture", _CONVERT, picture=True)),
    (0, b"qoif", Kind("QOI", _CONVERT, picture=True)),
    (0, b"\x01\xda", Kind("an SGI image", _CONVERT, picture=True)),
    (0, b"Y\xa6j\x95", Kind("a Sun raster image", _CONVERT, picture=True)),
    (0, b"\x97JB2\r\n\x1a\n", Kind("JBIG2", _CONVERT, picture=True)),
    (0, b"II\xbc", Kind("JPEG XR", _CONVERT, picture=True)),
    (0, b"BPG\xfb", Kind("BPG", _CONVERT, picture=True)),
    (0, b"AT&TFORM", Kind("DjVu", _CONVERT, picture=True)),
    (0, b"SIMPLE  =", Kind("FITS", _WINDOW, picture=True)),
    (344, b"n+1\x00", Kind("NIfTI", _WINDOW, picture=True)),
    (344, b"ni1\x00", Kind("NIfTI", _WINDOW, picture=True)),
    (0, b"NRRD000", Kind("NRRD", _WINDOW, picture=True)),
    (0, b"\x89HDF\r\n\x1a\n", Kind("HDF5", "give its arrays to frostline.fit in Python")),
    (0, b"\x93NUMPY", Kind("a NumPy array", "give it to frostline.fit in Python")),
    (0, b"MATLAB 5.0", Kind("a MATLAB file", "save its arrays as images")),
    (0, b"\x1aE\xdf\xa3", FILM),
    (0, b"\x00\x00\x01\xba", FILM),
    (0, b"\x00\x00\x01\xb3", FILM),
    (0, b"FLV\x01", FILM),
    (0, b"0&\xb2u\x8ef\xcf\x11", FILM),
    (0, b"PK\x03\x04", Kind("a ZIP archive", "unpack it")),
    (0, b"PK\x05\x06", Kind("an empty ZIP archive")),
    (0, b"\x1f\x8b", Kind("a gzip file", "unpack it")),
    (0, b"BZh", Kind("a bzip2 file", "unpack it")),
    (0, b"\xfd7zXZ\x00", Kind("an xz file", "unpack it")),
    (0, b"(\xb5/\xfd", Kind("a Zstandard file", "unpack it")),
    (0, b"7z\xbc\xaf'\x1c", Kind("a 7-Zip archive", "unpack it")),
    (0, b"Rar!\x1a\x07", Kind("a RAR archive", "unpack it")),
    (257, b"ustar", Kind("a tar archive", "unpack it")),
    (0, b"%PDF", Kind("a PDF", "save its pages as images")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an Office document")),
    (0, b"SQLite format 3\x00", Kind("a database")),
    (0, b"PAR1", Kind("a Parquet table")),
    (0, b"ARROW1", Kind("an Arrow table")),
    (0, b"\x00\x05\x16\x07", FORK),
    (0, b"\x00\x05\x16\x00", FORK),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00", Kind("a shortcut of Windows", "copy what it leads to")),
    (0, b"MZ", Kind("a program")),
    (0, b"\x7fELF", Kind("a program")),
    (0, b"ID3", Kind("a sound")),
    (0, b"OggS", Kind("a sound or film")),
    (0, b"fLaC", Kind("a sound")),
    (0, b"version https://git-lfs", LFS),
    (0, b"\x80\x02", Kind("a pickle or a checkpoint of PyTorch")),
)
_HTML = re.compile(rb"<!doctype html|<html|<head[ >]|<body[ >]", re.IGNORECASE)
_SVG = re.compile(rb"<svg[ >]", re.IGNORECASE)


def kind_of(head: bytes) -> Kind | None:
    """Tell the kind of a file that no plugin of Pillow reads.

    ``head``: its first :data:`HEAD_BYTES`, or all of a shorter file. The result: None where the
    bytes tell nothing.
    """
    # the length of the first box may look like another mark
    if head[4:8] == b"ftyp":
        return _boxed(head)
    letters = _is_text(head)
    for place, signature, kind in _SIGNATURES:
        # two or three letters also begin words
        if head.startswith(signature, place) and not (letters and len(signature) < 4):
            return kind
    if head.startswith(b"RIFF") and len(head) >= 12:
        return {b"AVI ": FILM, b"WAVE": Kind("a sound")}.get(head[8:12])
    if head and not head.strip(b"\0"):
        return ZEROS
    return _text(head)


def _boxed(head: bytes) -> Kind:
    """Tell files of the ISO container by their brands, the main one first."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, size - 3, 4))]
    if brands[0] == b"crx ":
        return RAW
    if b"avif" in brands or b"avis" in brands:
        return AVIF
    if brands[0] in HEIF_BRANDS or (
        brands[0] not in _FILM_BRANDS and HEIF_BRANDS.intersection(brands)
    ):
        return HEIF
    return FILM


def _text(head: bytes) -> Kind | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _SVG.search(head) and start.startswith(b"<"):
        return Kind("SVG", _CONVERT, picture=True)
    if _HTML.search(head):
        return HTML
    if start.startswith(b"<?xml"):
        return Kind("XML")
    if not start or not _is_text(head):
        return None
    return Kind("JSON") if start[:1] in (b"{", b"[") else TEXT


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # a letter that the end of the head cuts in two
        if error.start < len(head) - 4:
            return False
    return bool(head) and all(byte >= 9 for byte in head)
