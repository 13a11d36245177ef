"""Throughput over cores as a picture: a panel for each row of the table and protocol, a line for each server."""

from xml.sax.saxutils import escape

WIDTH, MARGIN, HEAD, FOOT = 980, 24, 84, 20
PANEL, HEIGHT, ACROSS, DOWN = 214, 150, 24, 66
SERVERS = {"hippocamp": "ours", "triton": "triton", "echo": "echo"}
NAMES = {"hippocamp": "hippocamp", "triton": "Triton 2.51", "echo": "bare echo: as much as the clients can"}
# Colours follow the reader's preference where the picture is shown by itself or as an image.
STYLE = """<style>
.ground{fill:#ffffff}.text{fill:#24292f}.faint{fill:#6a737d}.grid{stroke:#e4e7ea}
.ours{stroke:#2f6f8f;fill:#2f6f8f}.triton{stroke:#b5533c;fill:#b5533c}.echo{stroke:#9aa1a8;fill:#9aa1a8}
.line{fill:none;stroke-width:2}.echo.line{stroke-dasharray:3 3;stroke-width:1.2}
@media (prefers-color-scheme: dark){
.ground{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#8b949e}.grid{stroke:#262c34}
.ours{stroke:#62b0d6;fill:#62b0d6}.triton{stroke:#e08a73;fill:#e08a73}.echo{stroke:#6e7681;fill:#6e7681}
.line{fill:none}}
</style>"""


def text(x, y, content, size=11, anchor="start", kind="text"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" class="{kind}">{escape(content)}</text>'


def round_up(value):
    """The next number of one digit, or one and a half, and zeros."""
    step = 1
    while step * 10 <= value:
        step *= 10
    return next(step * n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * n >= value)


def short(value):
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


class Panel:
    """One row over one protocol."""

    def __init__(self, left, top, found):
        self.left, self.top, self.found = left, top, found
        self.cores = [line["cores"] for line in found]
        shown = [line["of"][name]["requests_per_s"] for line in found for name in SERVERS if name in line["of"]]
        self.most = round_up(max(shown))

    def x(self, cores):
        # As far apart as the numbers of cores are.
        least, most = self.cores[0], self.cores[-1]
        return self.left + 36 + (PANEL - 44) * ((cores - least) / (most - least) if most > least else 0.5)

    def y(self, rate):
        return self.top + HEIGHT * (1 - rate / self.most)

    def axes(self):
        for part in (0, 0.5, 1):
            y = self.y(self.most * part)
            yield f'<path class="grid" d="M{self.left + 32} {y:.1f}H{self.left + PANEL}"/>'
            yield text(self.left + 28, y + 3.5, short(self.most * part), 9, "end", "faint")
        for cores in self.cores:
            yield text(self.x(cores), self.top + HEIGHT + 14, str(cores), 9, "middle", "faint")

    def line(self, name, kind):
        rates = [(line["cores"], line["of"][name]["requests_per_s"]) for line in self.found if name in line["of"]]
        points = [(self.x(cores), self.y(rate)) for cores, rate in rates]
        if not points:
            return
        yield f'<path class="{kind} line" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'
        if name != "echo":
            yield from (f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in points)

    def draw(self):
        first = self.found[0]
        yield text(self.left, self.top - 24, first["title"], 11)
        yield text(self.left, self.top - 10, "gRPC" if first["protocol"] == "grpc" else "HTTP", 10, kind="faint")
        yield from self.axes()
        for name in ("echo", "triton", "hippocamp"):
            yield from self.line(name, SERVERS[name])


def legend(lines):
    x = MARGIN
    for name, kind in SERVERS.items():
        if any(name in line["of"] for line in lines):
            yield f'<path class="{kind} line" d="M{x} 62H{x + 22}"/>'
            yield text(x + 28, 66, NAMES[name], 11)
            x += 46 + 6.4 * len(NAMES[name])


def draw(lines, machine):
    """An SVG: the rows beside each other, gRPC above HTTP."""
    groups = {}
    for line in lines:
        groups.setdefault((line["protocol"], line["title"]), []).append(line)
    protocols = list(dict.fromkeys(protocol for protocol, _ in groups))
    titles = list(dict.fromkeys(title for _, title in groups))
    parts = []
    for (protocol, title), found in groups.items():
        left = MARGIN + titles.index(title) * (PANEL + ACROSS)
        top = HEAD + 36 + protocols.index(protocol) * (HEIGHT + DOWN)
        parts += Panel(left, top, sorted(found, key=lambda line: line["cores"])).draw()
    height = HEAD + len(protocols) * (HEIGHT + DOWN) + FOOT
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif">',
        STYLE,
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
        text(MARGIN, 28, "Requests a second over cores of the server", 16),
        text(MARGIN, 46, machine, 10, kind="faint"),
        *legend(lines),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
