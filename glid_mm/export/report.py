"""What an export tells."""
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class ExportReport:
    """A file that was written, and what was measured before.

    Attributes:
        path (Path): The file.
        megabytes (float): Its size.
        task (str): What it answers.
        size (tuple[int, int]): Height and width of the pictures it takes.
        opset (int, optional): Opset of an ONNX file.
        differences (dict[str, float]): By output, the largest difference
            from the host's own answers; see :mod:`.agreement`.
        pictures (int): How many were compared.
        latencies (dict[str, float]): By runtime, milliseconds for a picture
            in a batch of one, median.
        threads (int): Threads of each runtime.
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
        """A table to print with rich."""
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
