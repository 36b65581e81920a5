"""Export task models to files that run without OpenMMLab."""
import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from ..errors import CheckpointError, UserError, require
from ..io.files import make_folder, write_atomically
from . import agreement
from .boxes import Detection
from .description import KEY, dataset_meta, describe
from .graph import Graph
from .keypoints import Pose
from .maps import Depth, Semantic
from .masks import Instance, Panoptic
from .pictures import choose_size, filling, fit, read_pictures
from .report import ExportReport
from .timing import latency, torch_threads

#: The graph of each task.
GRAPHS: Mapping[str, type[Graph]] = dict(
    semantic=Semantic,
    instance=Instance,
    panoptic=Panoptic,
    detection=Detection,
    depth=Depth,
    pose=Pose)

#: Maps ``(N, H, W, 3)`` uint8 to arrays in the order of the outputs.
Run = Callable[[np.ndarray], Sequence[np.ndarray]]
#: The content of a file, and the ONNX opset.
Encoded = tuple[bytes, int | None]


def export_onnx(model: nn.Module,
                config: Config,
                task: str,
                out_path: str | Path,
                size: Sequence[int] | None = None,
                pictures=None,
                opset: int | None = None,
                threads: int = 1) -> ExportReport:
    """Export a model as an ONNX file, from uint8 pictures to predictions.

    The batch size is dynamic, the picture size fixed. The model is copied and
    not changed. The file is written only after ONNX Runtime has reproduced the
    host's outputs for batches of one and two pictures.

    Args:
        model: A model of mmdet, mmseg or mmpose, with GLID inside.
        config: The model's config.
        task: A key of :data:`GRAPHS`.
        out_path: The file; an older one is replaced.
        size: Picture height and width, multiples of 32; see
            :func:`~.pictures.choose_size`.
        pictures (optional): Pictures for the comparison; see
            :func:`~.pictures.read_pictures`.
        opset: ONNX opset; by default PyTorch's choice.
        threads: Threads for measuring latency.

    Returns:
        Differences and latencies.

    Raises:
        UserError: If the model cannot be exported, the outputs differ by more
            than 1e-3, or the file cannot be written. Then no new file exists.
        MissingLibraryError: If onnx, onnxruntime or onnxscript is not
            installed.
    """
    require('onnx', 'onnxruntime', 'onnxscript', task='export to ONNX')

    def encode(program, graph: Graph, described: str) -> Encoded:
        written = torch.onnx.export(
            program, (),
            input_names=['images'],
            output_names=list(graph.OUTPUTS),
            opset_version=opset,
            dynamo=True,
            verbose=False)
        return _finish_onnx(written.model_proto, described)

    def load(data: bytes) -> Run:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            data, options, providers=['CPUExecutionProvider'])
        return lambda images: session.run(None, dict(images=images))

    return _export(model, config, task, out_path, size, pictures, threads,
                   'ONNX Runtime', encode, load)


def export_torch(model: nn.Module,
                 config: Config,
                 task: str,
                 out_path: str | Path,
                 size: Sequence[int] | None = None,
                 pictures=None,
                 threads: int = 1) -> ExportReport:
    """Export a model with ``torch.export.save``, as a ``.pt2`` file.

    Outputs, checks and arguments are the same as in :func:`export_onnx`. The
    description is the extra file ``glid_mm``.
    """

    def encode(program, graph: Graph, described: str) -> Encoded:
        # Stack traces contain paths of this machine.
        for module in program.graph_module.modules():
            if isinstance(module, torch.fx.GraphModule):
                for node in module.graph.nodes:
                    node.meta.pop('stack_trace', None)
        data = io.BytesIO()
        torch.export.save(program, data, extra_files={KEY: described})
        return data.getvalue(), None

    def load(data: bytes) -> Run:
        run = torch.export.load(io.BytesIO(data)).module()
        return lambda images: [
            x.numpy() for x in run(torch.from_numpy(images))
        ]

    return _export(model, config, task, out_path, size, pictures, threads,
                   'torch.export', encode, load)


def _export(model, config, task, out_path, size, pictures, threads,
            runtime: str, encode: Callable, load: Callable) -> ExportReport:
    """Trace, write to memory, compare, measure; then write the file."""
    out_path = Path(out_path)
    if task not in GRAPHS:
        raise UserError(f'{task!r} cannot be exported; choose one of '
                        f'{", ".join(GRAPHS)}')
    given = read_pictures(pictures)
    size = choose_size(model, config, size,
                       None if pictures is None else given[0])
    graph = GRAPHS[task](copy_for_cpu(model), size,
                         dataset_meta(model, config))
    fill = filling(graph.model)
    images = np.stack([fit(picture, size, fill) for picture in given])
    if len(images) == 1:
        images = np.concatenate([images, images[:, :, ::-1]])
    _check_folder(out_path)
    with torch.no_grad(), torch_threads(threads), _other_peoples_warnings():
        try:
            program = _trace(graph, images)
            data, opset = encode(program, graph, describe(graph, task, fill))
            run = load(data)
        except Exception as error:
            # PyTorch wraps the cause in advice for its own developers.
            cause = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            reason = str(cause).strip().split('\n')[0]
            raise UserError(
                f'this model of {type(model).__name__} cannot be exported: '
                f'{reason}\nThe model is unchanged and nothing was written. '
                'docs/deployment.md lists the models and versions that '
                'work.') from error
        differences = agreement.compare(graph, run, images)
        agreement.check(differences)
        latencies = {
            'PyTorch': latency(graph.host, images[:1]),
            runtime: latency(run, images[:1]),
        }
    _write(out_path, data)
    return ExportReport(
        path=out_path,
        megabytes=len(data) / 1e6,
        task=task,
        size=size,
        opset=opset,
        differences=differences,
        pictures=len(images),
        latencies=latencies,
        threads=threads)


def copy_for_cpu(model: nn.Module) -> nn.Module:
    """An fp32 copy for inference on the CPU.

    Args:
        model: A host's model, or the model of one task of a mixture.
    """
    model = copy.deepcopy(model)
    # The parameters of a mixture's task exclude the shared ones.
    shared = getattr(getattr(model, 'backbone', None), 'glid', None)
    for part in filter(None, (shared, model)):
        part.cpu().float().eval().requires_grad_(False)
    return model


def _trace(graph: Graph, images: np.ndarray) -> torch.export.ExportedProgram:
    pair = torch.from_numpy(images[:2])
    # Fill GLID's caches per size, such as windows, with real tensors now
    # instead of during tracing.
    graph(pair)
    # Without a maximum, PyTorch 2.6 excludes the largest integer and fails.
    batch = torch.export.Dim('batch', max=2**16)
    return torch.export.export(
        graph, (pair, ), dynamic_shapes=({
            0: batch
        }, ), strict=False)


def _finish_onnx(written, described: str) -> Encoded:
    """Add the description and remove paths of this machine."""
    for node in written.graph.node:
        del node.metadata_props[:]
        node.ClearField('doc_string')
    # Runtimes infer these shapes; PyTorch 2.6 writes some wrong ones.
    del written.graph.value_info[:]
    for value in [*written.graph.input, *written.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = 'batch'
    written.metadata_props.add(key=KEY, value=described)
    opset, = (x.version for x in written.opset_import if not x.domain)
    return written.SerializeToString(), opset


def _check_folder(path: Path) -> None:
    """Check that a path can be written, before the work begins.

    Raises:
        UserError: If it cannot; says why.
    """
    try:
        make_folder(path.parent)
        if path.is_dir():
            raise IsADirectoryError('it is a folder')
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}. '
                        'Choose another place.') from error


def _write(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        UserError: If the disk is full.
    """
    try:
        write_atomically(path, data)
    except CheckpointError as error:
        raise UserError(f'no space left to write {path}: it needs '
                        f'{len(data) / 1e6:.0f} MB. Make room or choose '
                        'another disk.') from error


@contextlib.contextmanager
def _other_peoples_warnings() -> Iterator[None]:
    """Silence PyTorch's warnings about its own code during the export."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module='torch|copyreg')
        yield
