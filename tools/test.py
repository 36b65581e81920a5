"""Test any task: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse

from mmengine.evaluator import DumpResults

from glid_mm.engine import launch
from glid_mm.errors import UserError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    launch.add_common_arguments(parser)
    parser.add_argument('checkpoint', help='path of the weights')
    parser.add_argument(
        '--out', metavar='FILE.pkl', help='file for raw predictions')
    parser.add_argument(
        '--show-dir', metavar='FOLDER', help='folder for drawn predictions')
    args = parser.parse_args()
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error('--out: the name of the file must end in .pkl')
    return args


def main() -> None:
    args = parse_args()
    config = launch.read_run(args)
    if config.get('test_dataloader') is None:
        raise UserError(f'{args.config} has no test_dataloader, so it cannot '
                        'be tested')
    config.load_from = args.checkpoint
    config.resume = False
    # Trackers record trainings only.
    launch.without_trackers(config)
    if args.show_dir is not None:
        launch.show_predictions(config, args.show_dir)
    runner = launch.build_runner(config)
    if args.out is not None:
        runner.test_evaluator.metrics.append(
            DumpResults(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    launch.main(main)
