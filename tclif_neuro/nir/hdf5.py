"""A NIR file as a `Graph`. A file is hostile input: nothing is executed, no other file is opened, all has a limit.

Unlike a .net file, a NIR file is compressed: what a dataset claims to hold is bounded before it is expanded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from tclif_neuro.files import StrPath, read_regular
from tclif_neuro.nir.graph import GRAPH, INPUT, OUTPUT, ROOM, Array, Edge, Graph, NIRError, Node
from tclif_neuro.text import cut

MAX_FILE_BYTES = 2**28
MAX_BYTES = 2**29  # of all arrays together once they are expanded
MAX_ENTRIES = 20_000  # groups and datasets
MAX_DEPTH = 12
MAX_EDGES = 10_000
MAX_TEXT = 200  # characters of a name or a type
FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}
LAYOUTS = (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT, h5py.h5d.CHUNKED)

Tree = dict[str, Any]  # a group: names to groups, arrays, texts or lists of edges


def read_graph(path: StrPath) -> Graph:
    """The graph in the NIR file `path`. Raises `NIRError` (without the path) naming what is wrong in it."""
    try:
        data = read_regular(path, MAX_FILE_BYTES)
    except (OSError, ValueError) as error:
        raise NIRError(f"cannot be read: {_plain(getattr(error, 'strerror', None) or str(error))}") from error
    return graph_of(_tree(data), "")


def _tree(data: bytes) -> Tree:
    try:
        with h5py.File(h5py.h5f.open_file_image(data)) as file:
            walk = _Walk()
            if "node" not in walk.names(file, "/"):
                raise NIRError("is not a NIR file: it holds no graph (`node`)")
            tree = walk.visit(file, "node", "node", 0)
    except NIRError:
        raise
    except Exception as error:  # h5py turns a damaged file into almost any exception
        raise NIRError(f"is not a whole HDF5 file: {type(error).__name__}: {_plain(str(error))}") from error
    if not isinstance(tree, dict):
        raise NIRError("node: a graph expected, got a dataset")
    return tree


def _plain(text: str) -> str:
    return cut(ascii(text)[1:-1], MAX_TEXT)


class _Walk:
    """Reads groups and datasets, and counts: a hostile file can neither keep it busy nor fill the memory."""

    def __init__(self) -> None:
        self.entries = 0
        self.bytes_left = MAX_BYTES

    def names(self, group: h5py.Group, path: str) -> list[str]:
        """The names of a group's members, of which none may be able to confuse a terminal."""
        self.entries += len(group)
        if self.entries > MAX_ENTRIES:
            raise NIRError(f"{path}: more than {MAX_ENTRIES} groups and datasets")
        names = list(group)
        for name in names:
            _check_name(name, path)
        return names

    def visit(self, parent: h5py.Group, name: str, path: str, depth: int) -> Any:
        """The member `name` of `parent`: a dictionary, an array, a text or a list of pairs of texts."""
        if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
            raise NIRError(f"{path}: is a link to elsewhere, which is not allowed")
        member = parent[name]
        if isinstance(member, h5py.Dataset):
            return self._read(member, path)
        if not isinstance(member, h5py.Group) or depth > MAX_DEPTH:
            raise NIRError(f"{path}: is no group or dataset, or is nested deeper than {MAX_DEPTH}")
        return {n: self.visit(member, n, f"{path}/{n}", depth + 1) for n in self.names(member, path)}

    def _read(self, dataset: h5py.Dataset, path: str) -> Any:
        self._check(dataset, path)
        kind = dataset.dtype.kind
        if kind == "S" or h5py.check_string_dtype(dataset.dtype) is not None:
            if dataset.shape == ():
                return _text(dataset[()], path)
            if dataset.ndim != 2 or dataset.shape[1] != 2 or len(dataset) > MAX_EDGES:
                raise NIRError(f"{path}: one text or at most {MAX_EDGES} pairs expected, got {list(dataset.shape)}")
            # Row by row: one long text, named by every row, would otherwise be expanded as often.
            return [tuple(_text(end, path) for end in dataset[row]) for row in range(len(dataset))]
        if kind not in "biuf" or dataset.dtype.itemsize > 8:
            raise NIRError(f"{path}: {_plain(str(dataset.dtype))} is not allowed; numbers and texts are")
        return np.asarray(dataset[()])

    def _check(self, dataset: h5py.Dataset, path: str) -> None:
        """Only storage within this file, decoded by HDF5's own filters, whose size is known and fits."""
        properties = dataset.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if properties.get_layout() not in LAYOUTS or properties.get_external_count() or filters - FILTERS:
            raise NIRError(f"{path}: is stored elsewhere, or with filters that HDF5 does not bring")
        if dataset.shape is None:
            raise NIRError(f"{path}: is empty")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        self.bytes_left -= max(size, chunk)
        if self.bytes_left < 0:
            raise NIRError(f"{path}: claims {max(size, chunk)} bytes; all arrays may have {MAX_BYTES} together")


def _text(value: Any, path: str) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise NIRError(f"{path}: is not UTF-8") from error
    return _check_name(text, path)


def _check_name(text: str, path: str) -> str:
    if len(text) > MAX_TEXT or not text.isprintable() or "/" in text:
        raise NIRError(f"{path}: holds the text {_plain(text)}, which is too long or not printable")
    return text


def graph_of(tree: Tree, path: str) -> Graph:
    """The graph in what a group holds; `path` names it in errors."""
    kind = tree.get("type")
    nodes, edges = tree.get("nodes"), tree.get("edges", [])
    if kind != GRAPH or not isinstance(nodes, dict):
        raise NIRError(f"node {path or '/'}: a {GRAPH} with nodes expected, got the type {_shown(kind)}")
    if isinstance(edges, np.ndarray) and edges.size:
        raise NIRError(f"node {path or '/'}: edges are pairs of names, not numbers")
    return Graph(
        nodes={name: _node(inner, f"{path}{name}") for name, inner in nodes.items()},
        edges=_pairs(edges, path),
        claim=_claim(tree),
    )


def _pairs(edges: Any, path: str) -> tuple[Edge, ...]:
    if isinstance(edges, np.ndarray):  # no edges: an empty array of numbers
        return ()
    if not isinstance(edges, list):
        raise NIRError(f"node {path or '/'}: edges are pairs of names")
    return tuple(edges)


def _node(tree: Any, path: str) -> Node | Graph:
    if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
        raise NIRError(f"node {path}: a group with a type expected, got {_shown(tree)}")
    if tree["type"] == GRAPH:
        return graph_of(tree, f"{path}/")
    values: dict[str, Array] = {name: value for name, value in tree.items() if isinstance(value, np.ndarray)}
    if tree["type"] in (INPUT, OUTPUT):
        values = {name: value for name, value in values.items() if name == "shape"}
    return Node(kind=tree["type"], values=values, claim=_claim(tree))


def _claim(tree: Tree) -> Mapping[str, Any]:
    metadata = tree.get("metadata")
    claim = metadata.get(ROOM) if isinstance(metadata, dict) else None
    return claim if isinstance(claim, dict) else {}


def _shown(value: Any) -> str:
    return _plain(value) if isinstance(value, str) else type(value).__name__
