"""The report of an export."""
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class ExportReport:
    """An exported file and the measurements made before writing it.

    Attributes:
        path: The file.
        megabytes: Its size in MB.
        task: Its task.
        size: Input height and width.
        opset: Opset, if it is an ONNX file.
        differences: The largest difference of each output from the host's own;
            see :mod:`.agreement`.
        pictures: Number of pictures compared.
        latencies: Median milliseconds for a batch of one picture, by runtime.
        threads: Threads of each runtime.
    """

    path: Path
    megabytes: float
    task: str
    size: tuple[int, int]
    opset: int | None
    differences: dict[str, float]
    pictures: int
    latencies: dict[str, float]
    threads: int

    def table(self) -> 'Table':
        """The report as a table for rich."""
        from rich.table import Table
        height, width = self.size
        threads = f'{self.threads} thread{"s" * (self.threads != 1)}'
        table = Table(
            title=f'{self.path}: {self.task}, {height}×{width}, '
            f'{self.megabytes:.1f} MB' +
            (f', opset {self.opset}' if self.opset else ''),
            title_justify='left')
        table.add_column('measured')
        table.add_column('value', justify='right')
        for name, value in self.differences.items():
            table.add_row(f'difference of {name}, {self.pictures} pictures',
                          f'{value:.1e}')
        for name, value in self.latencies.items():
            table.add_row(f'{name}, batch 1, {threads}', f'{value:.1f} ms')
        return table
