"""How often the gate blocks a harmless change, finds a harmful one and passes one it should not.

    OMP_NUM_THREADS=1 python benchmarks/calibration.py [--quick] [--write docs/calibration.md]

Simulated suites, no audio: the model is in ``simulated_suites.py``, the rules that are compared are in
``gates_compared.py``, and the figures of the last full run are in ``docs/calibration.md``. ``--write`` puts
the tables between the markers of that page and draws the plot beside it. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from calibration_plot import draw_plot
from calibration_tables import QUICK, SEED, Runs, Section, markdown
from judged_alike import check_agreement
from rich.console import Console
from rich.table import Table
from single_cells import PLOTTED, SPEAKERS, clean_cells, single_cells
from whole_runs import blocked, false_blocks, power, power_curves, sensitivity


def write(page: Path, sections: Sequence[Section], facts: str) -> None:
    """Put each table between its markers."""
    text = page.read_text(encoding="utf-8")
    bodies = {section.marker: markdown(section) for section in sections} | {"facts": facts}
    for marker, body in bodies.items():
        opening, closing = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
        if text.count(opening) != 1 or text.count(closing) != 1:
            raise SystemExit(f"{page}: the markers {opening.strip()} and {closing} must be there once each")
        before, rest = text.split(opening)
        text = f"{before}{opening}{body}\n{closing}{rest.split(closing)[1]}"
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Run every section, print the tables, and write the page if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few replicates: does it run?")
    parser.add_argument("--write", type=Path, default=None, metavar="PAGE")
    options = parser.parse_args()
    runs, started, console = QUICK if options.quick else Runs(), time.process_time(), Console(width=200)
    sections, errors = single_cells(runs)
    sections.append(clean_cells(runs))
    blocks, shown = false_blocks(runs)
    sections += [blocks, power(runs), sensitivity(runs)]
    sizes, curves = power_curves(runs)
    agreed = check_agreement(runs.end_to_end, np.random.default_rng([SEED, 8]))
    for section in sections:
        table = Table(*section.header, title=section.marker)
        for row in section.rows:
            table.add_row(*row)
        console.print(table)
    seconds = time.process_time() - started
    facts = (
        f"{runs.cells:,} replicates per figure of one cell ({runs.bootstrapped_cells:,} for the bootstrap), "
        f"{runs.suites:,} runs per suite ({runs.bootstrapped_suites:,} for the bootstrap), {runs.power:,} "
        f"for power and half of that for its assumptions and the plot. {agreed} "
        f"The whole benchmark took {seconds / 60:.1f} minutes of one processor core."
    )
    console.print(facts)
    if options.write is not None:
        write(options.write, sections, facts)
        gates = (shown.cohort_gate, shown.point_estimate, shown.bootstrap, shown.overall_only)
        svg = draw_plot(
            SPEAKERS,
            [(e.cr2, e.plain, e.bootstrap) for e in errors[PLOTTED]],
            [blocked(gate) for gate in gates],
            sizes,
            curves,
        )
        options.write.with_suffix(".svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
