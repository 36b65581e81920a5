"""OpenMMLab's own ``tools/train.py`` scripts train our configs unchanged."""
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glid_mm.io.checkpoints import read_checkpoint
from glid_mm.scenes import write_scenes

ROOT = Path(__file__).resolve().parents[2]
# In this order: the others start from the pre-trained weights.
CONFIGS = {
    'mmpretrain': 'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py',
    'mmseg': 'segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
    'mmdet': 'detection/glid_nano_1xb16-7k_scenes-128x128.py',
    'mmpose': 'pose/glid_nano_1xb16-16k_scenes-128x96.py',
}
# A fresh process: the scripts import unpatched libraries. Reading a config
# patches them.
PROGRAM = """
import json, runpy, sys
scripts, runs = json.loads(sys.argv[1])
for script in scripts:
    sys.argv = [script, '--help']
    try:
        runpy.run_path(script, run_name='__main__')
    except SystemExit:
        pass
assert not [name for name in sys.modules if name.startswith('glid_mm')]
import torch
torch.set_num_threads(1)
for script, *options in runs:
    sys.argv = [script, *options]
    runpy.run_path(script, run_name='__main__')
"""


def script_of(host):
    spec = importlib.util.find_spec(host)
    if spec is None:
        pytest.skip(f'needs {host}')
    path = Path(spec.origin).parent / '.mim/tools/train.py'
    if not path.exists():
        pytest.skip(f'{host} is installed without its tools')
    return str(path)


def arguments(host, scenes, work_dir, *changes):
    splits = ['train'] if host == 'mmpretrain' else ['train', 'val', 'test']
    options = ['train_cfg.max_epochs=1'] if host == 'mmpretrain' else [
        'train_cfg.max_iters=2', 'train_cfg.val_interval=2'
    ]
    for split in splits:
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.data_root={scenes}/', f'{loader}.batch_size=2',
            f'{loader}.num_workers=0', f'{loader}.persistent_workers=False'
        ]
    if host == 'mmdet':
        options.append('val_evaluator.ann_file='
                       f'{scenes}/annotations/instances_val.json')
    return [
        str(ROOT / 'configs' / CONFIGS[host]), '--work-dir',
        str(work_dir), '--cfg-options', *options, *changes
    ]


@pytest.mark.slow
def test_hosts_scripts_and_mmengines_runner(tmp_path):
    scripts = {host: script_of(host) for host in CONFIGS}
    scenes = tmp_path / 'scenes'
    write_scenes(scenes, train=4, val=2, unlabelled=4, size=64, seed=0)
    pretrained = tmp_path / 'mmpretrain' / 'epoch_1.pth'
    runs = []
    for host, script in scripts.items():
        changes = [] if host == 'mmpretrain' else [f'load_from={pretrained}']
        for name, runner in (('', []), ('plain ',
                                        ['runner_type=mmengine.Runner'])):
            # mmpose's script supports only mmengine's runner.
            if host != 'mmpose' or runner:
                runs.append([
                    script,
                    *arguments(host, scenes, tmp_path / f'{name}{host}', *
                               changes, *runner)
                ])
    done = subprocess.run([
        sys.executable, '-c', PROGRAM,
        json.dumps([list(scripts.values()), runs])
    ],
                          cwd=tmp_path,
                          env=dict(
                              os.environ,
                              PYTHONPATH=str(ROOT),
                              OMP_NUM_THREADS='1'),
                          capture_output=True,
                          text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr
    before = read_checkpoint(pretrained)['state_dict']
    for run in runs[1:]:
        work_dir = Path(run[3])
        last = Path((work_dir / 'last_checkpoint').read_text())
        after = read_checkpoint(last)['state_dict']
        # Trained a little, starting from the pre-trained weights.
        name = 'backbone.encoder.stages.0.blocks.0.mlp.fc1.weight'
        start = before[name]
        if 'mmpretrain' not in work_dir.name:
            change = (after[name] - start).norm() / start.norm()
            assert 0 < change < .1, work_dir
            assert list(work_dir.glob('best_*.pth')), work_dir
