"""Comparisons of training runs that differ in a few things."""
from .plan import Arm, Run, Start, beside, plan_runs, read_start
from .results import (Comparison, Outcome, compare, read_csv, read_outcome,
                      write_csv)

__all__ = [
    'Arm', 'Comparison', 'Outcome', 'Run', 'Start', 'beside', 'compare',
    'plan_runs', 'read_csv', 'read_outcome', 'read_start', 'write_csv'
]
