"""What was checked, against which target, and what was skipped and why."""

import json
import textwrap


class Table:
    """Rows of results. Each is printed at once, so that a run that is cut off has told what it found."""

    def __init__(self):
        self.rows = []

    def add(self, what, target, got, verdict, note=""):
        """verdict: True met, False missed, None skipped, "told" where there is no target."""
        word = {True: "ok", False: "MISSED", None: "skipped"}.get(verdict, verdict)
        self.rows.append({"what": what, "target": target, "got": got, "verdict": word, "note": note})
        print(f"-- {word:8} {what}: {got}" + (f" ({note})" if note else ""), flush=True)

    def skip(self, what, target, why):
        self.add(what, target, "-", None, why)

    def failed(self):
        return [row for row in self.rows if row["verdict"] == "MISSED"]

    def text(self):
        columns = ("what", "target", "got", "verdict")
        widths = [max(len(name), *(len(str(row[name])) for row in self.rows)) for name in columns]
        line = lambda cells: "  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths))
        lines = [line(columns), line("-" * width for width in widths)]
        for row in self.rows:
            lines.append(line(row[name] for name in columns).rstrip())
            lines += textwrap.wrap(row["note"], 110, initial_indent="    ", subsequent_indent="    ")
        return "\n".join(lines)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.rows, file, indent=1)
