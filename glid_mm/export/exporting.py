"""Export task models to files that run without OpenMMLab."""
import contextlib
import copy
import io
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from ..errors import UserError, require
from ..io.files import make_folder, write_atomically
from . import agreement
from .boxes import Detection
from .description import KEY, dataset_meta, describe
from .graph import Graph, Inputs
from .keypoints import Pose
from .maps import Depth, Semantic
from .masks import Instance, Panoptic
from .pictures import choose_size, fit, read_pictures
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

#: Maps arrays in the order of the inputs to arrays in the order of the
#: outputs.
Run = Callable[..., Sequence[np.ndarray]]
#: The content of a file, and the ONNX opset.
Encoded = tuple[bytes, int | None]


def export_onnx(model: nn.Module,
                config: Config,
                task: str,
                out_path: str | Path,
                size: Sequence[int] | None = None,
                pictures=None,
                opset: int | None = None,
                threads: int = 1,
                device: str | torch.device = 'cpu') -> ExportReport:
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
        device: Device for comparing and measuring; the file runs on any.

    Returns:
        Differences and latencies.

    Raises:
        UserError: If the model cannot be exported, the outputs differ by more
            than 1e-3, or the file cannot be written. Then no new file exists.
        MissingLibraryError: If onnx, onnxruntime or onnxscript is not
            installed.
    """
    require('onnx', 'onnxruntime', 'onnxscript', task='export to ONNX')
    device = torch.device(device)
    provider = _provider(device)

    def encode(program, graph: Graph, described: str) -> Encoded:
        written = torch.onnx.export(
            program, (),
            input_names=list(graph.INPUTS),
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
            data, options, providers=[provider])
        names = [x.name for x in session.get_inputs()]
        return lambda *inputs: session.run(None, dict(zip(names, inputs)))

    return _export(model, config, task, out_path, size, pictures, threads,
                   device, 'ONNX Runtime', encode, load)


def export_torch(model: nn.Module,
                 config: Config,
                 task: str,
                 out_path: str | Path,
                 size: Sequence[int] | None = None,
                 pictures=None,
                 threads: int = 1,
                 device: str | torch.device = 'cpu') -> ExportReport:
    """Export a model with ``torch.export.save``, as a ``.pt2`` file.

    Outputs, checks and arguments are the same as in :func:`export_onnx`, but
    the file runs only on ``device``. The description is the extra file
    ``glid_mm``.
    """
    device = torch.device(device)

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
        return lambda *inputs: [
            x.cpu().numpy() for x in run(*_tensors(inputs, device))
        ]

    return _export(model, config, task, out_path, size, pictures, threads,
                   device, 'torch.export', encode, load)


def _export(model, config, task, out_path, size, pictures, threads, device,
            runtime: str, encode: Callable, load: Callable) -> ExportReport:
    """Trace, write to memory, compare, measure; then write the file."""
    out_path = Path(out_path)
    if task not in GRAPHS:
        raise UserError(f'{task!r} cannot be exported; choose one of '
                        f'{", ".join(GRAPHS)}')
    given = read_pictures(pictures)
    size = choose_size(model, config, size,
                       None if pictures is None else given[0])
    graph = GRAPHS[task](copy_for(model, device), size,
                         dataset_meta(model, config))
    fitted = [fit(picture, size) for picture in given]
    # Always compare a picture with padding on both sides, too.
    height, width = fitted[0].shape[:2]
    fitted.append(fitted[0][:-(height // 3), :-(width // 4)])
    inputs = graph.inputs(fitted)
    _check_folder(out_path)
    with torch.no_grad(), torch_threads(threads), _other_peoples_warnings():
        try:
            with _ctrl_c_afterwards():
                program = _trace(graph, [x[:2] for x in inputs], device)
                data, opset = encode(program, graph, describe(graph, task))
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
        differences = agreement.compare(graph, run, inputs)
        agreement.check(differences)
        # Measure with a picture that fills the input.
        whole = graph.inputs([inputs[0][0]])
        latencies = {
            'PyTorch': latency(graph.host, *whole),
            runtime: latency(run, *whole),
        }
    write_atomically(out_path, data)
    return ExportReport(
        path=out_path,
        megabytes=len(data) / 1e6,
        task=task,
        size=size,
        opset=opset,
        differences=differences,
        pictures=len(fitted),
        latencies=latencies,
        threads=threads)


def copy_for(model: nn.Module, device: torch.device) -> nn.Module:
    """An fp32 copy for inference.

    Args:
        model: A host's model, or the model of one task of a mixture.
        device: Device of the copy.
    """
    model = copy.deepcopy(model)
    # The parameters of a mixture's task exclude the shared ones.
    shared = getattr(getattr(model, 'backbone', None), 'glid', None)
    for part in filter(None, (shared, model)):
        part.to(device).float().eval().requires_grad_(False)
    return model


def _tensors(arrays: Inputs, device: torch.device) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(x).to(device) for x in arrays)


def _provider(device: torch.device) -> str | tuple[str, dict]:
    """ONNX Runtime's name for a device.

    Raises:
        UserError: If the installed ONNX Runtime does not support it.
    """
    import onnxruntime
    name = f'{device.type.upper()}ExecutionProvider'
    if name not in onnxruntime.get_available_providers():
        raise UserError(
            f'the installed ONNX Runtime does not support {device}: it has no '
            f'{name}. Install onnxruntime-gpu, or compare on the CPU (the '
            'default); the file is the same.')
    if device.type == 'cpu':
        return name
    # TF32 has a precision of only three digits.
    return name, dict(device_id=device.index or 0, use_tf32=0)


def _trace(graph: Graph, inputs: Inputs,
           device: torch.device) -> torch.export.ExportedProgram:
    pair = _tensors(inputs, device)
    # Fill GLID's caches per size, such as windows, with real tensors now
    # instead of during tracing.
    graph(*pair)
    # Without a maximum, PyTorch 2.6 excludes the largest integer and fails.
    batch = torch.export.Dim('batch', max=2**16)
    return torch.export.export(
        graph, pair, dynamic_shapes=[{
            0: batch
        } for _ in pair], strict=False)


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


@contextlib.contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    """Delay the first Ctrl-C to the end of the block.

    In PyTorch's tracer it can end in C++, which aborts the process.

    Raises:
        KeyboardInterrupt: After the block, if Ctrl-C was pressed in it.
    """
    usual = signal.default_int_handler
    if (signal.getsignal(signal.SIGINT) is not usual
            or threading.current_thread() is not threading.main_thread()):
        yield  # Ctrl-C is not Python's, or not this thread's
        return
    received = []

    def note(number: int, frame) -> None:
        received.append(number)
        signal.signal(number, usual)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if received:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _other_peoples_warnings() -> Iterator[None]:
    """Silence PyTorch's warnings about its own code during the export."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module='torch|copyreg')
        yield
