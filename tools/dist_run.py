"""Run torchrun and end its output with one clear error message.

It takes torchrun's arguments. Failing processes report the reason, see
``glid_mm.engine.launch.main``; torchrun alone would end with its own
traceback.
"""
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from glid_mm.errors import EXIT_CODE


def first_failure(error: ChildFailedError) -> str:
    """The first error as one message.

    If one process ends, others lose their connection to it and fail too.
    Errors that the user can fix are never consequences of others, so they take
    precedence.

    Args:
        error: The errors of all failed processes.

    Returns:
        The message of one of them.
    """
    rank, failure = min(
        error.failures.items(),
        key=lambda item: (item[1].exitcode != EXIT_CODE, item[1].timestamp))
    if isinstance(failure.message, dict):
        message = failure.message['message']
        if failure.exitcode == EXIT_CODE:
            return message
        return f'process {rank} failed, see its traceback: {message}'
    if failure.exitcode < 0:
        return f'process {rank} was ended by {failure.signal_name()}'
    return (f'process {rank} ended with exit code {failure.exitcode}; see '
            'its output above')


if __name__ == '__main__':
    try:
        run.main()
    except ChildFailedError as error:
        sys.exit(first_failure(error))
