"""`graph`: the units of a stack by their parts, in the order in which they are brought, each with its state.

What a part waits for is read from the program itself, __main__.py; within a part, units follow one another.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .paths import ROOT
from .report import STATES, Report

if TYPE_CHECKING:
    from components.observation import State

PROGRAM = ROOT / "__main__.py"
TEMPLATE = "report/graph.svg.j2"
MARGIN, HEADER = 24, 60
WIDTH, TITLE, ROW, GAP = 216, 30, 22, 3  # of a box, its heading, a row, and between rows
BETWEEN, BESIDE = 70, 22  # two layers, two boxes of one
# Fill and text of each state: a contrast of 4.5 to 1 and more (WCAG 2.2, 1.4.3); the marks say the same.
COLOURS = {True: ("#e7f4eb", "#1b5e36", "✓"), False: ("#fdeceb", "#9b1c1c", "✗")}
EDGE = {True: "#7d8796", False: "#9b1c1c"}


@dataclass(frozen=True)
class _Row:
    name: str
    y: float
    told: str
    fill: str
    colour: str
    mark: str
    height: int = ROW


@dataclass
class _Box:
    """A part on the picture; `w`, `h` and `xy` are what grandalf reads and writes, the axes exchanged."""

    name: str
    states: Sequence[State]
    xy: tuple[float, float] = (0.0, 0.0)
    width: int = WIDTH
    rows: list[_Row] = field(default_factory=list)

    @property
    def w(self) -> float:
        return self.height

    @property
    def h(self) -> float:
        return self.width

    @property
    def height(self) -> int:
        return TITLE + len(self.states) * (ROW + GAP) + 7

    @property
    def x(self) -> float:
        return round(self.xy[1] - self.width / 2, 1)

    @property
    def y(self) -> float:
        return round(self.xy[0] - self.height / 2, 1)

    @property
    def healthy(self) -> bool:
        return all(state.healthy for state in self.states)

    @property
    def stroke(self) -> str:
        return EDGE[self.healthy]

    @property
    def label(self) -> str:
        wrong = sum(not state.healthy for state in self.states)
        return f"{self.name}: {len(self.states)} units, {wrong or 'none'} not as expected"


def dependencies(program: str) -> dict[str, list[str]]:
    """What each part waits for, in the program's order.

    Arguments: `program`, the text of __main__.py. Raises ValueError when it makes no part.
    """
    names: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    classes = dict(_imported(ast.parse(program)))
    for node in ast.parse(program).body:
        call = node.value if isinstance(node, ast.Assign | ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        if not hasattr(made := classes.get(call.func.id), "part"):
            continue
        part = str(made.part)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = part
        found[part] = [names[name] for name in _waits_for(call)]
    if not found:
        raise ValueError("__main__.py makes no part")
    return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, object]]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("components."):
            for alias in node.names:
                yield alias.name, getattr(importlib.import_module(str(node.module)), alias.name)


def _waits_for(call: ast.Call) -> Iterator[str]:
    """The names in `depends_on`; of `part.until(unit)` the part's."""
    for keyword in call.keywords:
        if keyword.arg == "depends_on" and isinstance(keyword.value, ast.List):
            for item in keyword.value.elts:
                yield next(node.id for node in ast.walk(item) if isinstance(node, ast.Name))


def edges(waits: Mapping[str, Sequence[str]], present: Sequence[str]) -> list[tuple[str, str]]:
    """Which of the parts that have units comes before which; through one without units, those before it."""

    def before(part: str) -> list[str]:
        return [name for other in waits[part] for name in ([other] if other in present else before(other))]

    return [(other, part) for part in waits if part in present for other in dict.fromkeys(before(part))]


def graph(report: Report) -> str:
    """The picture as the text of an SVG file, which needs no other file."""
    from components.render import template_environment

    from .page import visible

    waits = dependencies(PROGRAM.read_text())
    boxes = {
        part: _Box(part, states)
        for part in waits
        if (states := [state for state in report.states if state.unit.part == part])
    }
    lines = _laid_out(boxes, edges(waits, list(boxes)))
    left, top = min(box.x for box in boxes.values()), min(box.y for box in boxes.values())
    for box in boxes.values():
        box.xy = box.xy[0] - top + MARGIN + HEADER, box.xy[1] - left + MARGIN
        box.rows = [_row(box, number, state) for number, state in enumerate(box.states)]
    shift = MARGIN - left, MARGIN + HEADER - top
    return (
        template_environment(autoescape=True, finalize=visible)
        .get_template(TEMPLATE)
        .render(
            managed=f"made by itqan from files/{TEMPLATE}",
            title=f"Units of {report.stack}",
            words=report.closing_line(),
            margin=MARGIN,
            width=round(max(box.x + box.width for box in boxes.values()) + MARGIN),
            height=round(max(box.y + box.height for box in boxes.values()) + MARGIN),
            boxes=list(boxes.values()),
            paths=[_path(points, shift) for points in lines],
        )
    )


def _row(box: _Box, number: int, state: State) -> _Row:
    fill, colour, mark = COLOURS[state.healthy]
    told = f"{state.unit.name}: {STATES[state.healthy]}"
    if not state.healthy:
        told += "; expected {}; found {}".format(*state.difference)
    name = state.unit.name.partition("/")[2]
    shown = name if len(name) <= 24 else f"{name[:23]}…"
    return _Row(shown, box.y + TITLE + number * (ROW + GAP), told, fill, colour, mark)


def _laid_out(
    boxes: Mapping[str, _Box], joined: Sequence[tuple[str, str]]
) -> list[list[tuple[float, float]]]:
    """Gives each box its place in its layer, from left to right. Returns the points of each line."""
    from grandalf.graphs import Edge, Graph, Vertex
    from grandalf.layouts import SugiyamaLayout
    from grandalf.routing import EdgeViewer

    vertices = {name: Vertex(name) for name in boxes}
    for name, vertex in vertices.items():
        vertex.view = boxes[name]
    lines = [Edge(vertices[first], vertices[second]) for first, second in joined]
    for line in lines:
        line.view = EdgeViewer()
    for component in Graph(list(vertices.values()), lines).C:
        layout = SugiyamaLayout(component)
        layout.xspace, layout.yspace = BESIDE, BETWEEN
        layout.init_all()
        layout.draw(12)
    joined_boxes = ((line.view._pts, boxes[line.v[0].data], boxes[line.v[1].data]) for line in lines)
    return [_ends(points, first, second) for points, first, second in joined_boxes]


def _ends(points: Sequence[tuple[float, float]], first: _Box, second: _Box) -> list[tuple[float, float]]:
    """A line from the right side of a box to the left side of another, by the free places between."""
    between = [(x, y) for y, x in points[1:-1]]
    return [
        (first.x + first.width, first.xy[0]),
        *between,
        (second.x, second.xy[0]),
    ]


def _path(points: Sequence[tuple[float, float]], shift: tuple[float, float]) -> str:
    """A smooth line through the points, level at each of them."""
    placed = [(round(x + shift[0], 1), round(y + shift[1], 1)) for x, y in points]
    (x, y), *rest = placed
    parts = [f"M{x} {y}"]
    for to_x, to_y in rest:
        middle = round((x + to_x) / 2, 1)
        parts.append(f"C{middle} {y} {middle} {to_y} {to_x} {to_y}")
        x, y = to_x, to_y
    return "".join(parts)
