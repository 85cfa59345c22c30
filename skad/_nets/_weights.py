"""Files of weights, and what tells weights apart."""

import hashlib
import re
import zipfile

import torch


def read_weights(path):
    """Read what a file of weights holds, without running anything that is in it.

    Parameters
    ----------
    path : Path
        A file of safetensors, by its name, or any that ``torch.save`` writes.

    Returns
    -------
    weights : object
        Usually a dict of tensors, on the CPU.

    Raises
    ------
    ImportError
        If safetensors is missing.

    ValueError
        If the file cannot be read, or holds something else than plain data.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if _is_torchscript(path):
        raise _unreadable(
            path,
            "it is a TorchScript archive, which holds a program. Save the state_dict() "
            "of the module in it instead",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # Bytes that are no such file lead to errors of any kind.
    except Exception as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        reason = "torch.save did not write it, or it is damaged"
        if refused:
            reason = (
                f"it holds {refused[1]}, and loading that could run anything. Only "
                "tensors are read: save the state_dict() of a module instead"
            )
        raise _unreadable(path, reason) from error


def _read_safetensors(path):
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise ImportError(
            f"backbone {str(path)!r} needs safetensors, which is not installed: "
            'pip install "skad[vision]"'
        ) from error
    try:
        # All at once: tensors that are mapped from a file would change with it.
        return load(path.read_bytes())
    except SafetensorError as error:
        raise _unreadable(path, str(error)) from error


def _is_torchscript(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _unreadable(path, reason):
    return ValueError(
        f"backbone {str(path)!r} cannot be read as a file of weights: {reason}."
    )


def checksum(module):
    """Return a number for the weights of a module, as a short text.

    Parameters
    ----------
    module : nn.Module
        The module.

    Returns
    -------
    checksum : str
        The same for modules with the same tensors in the same order. Names are left
        out, as later versions of a library may have others.
    """
    digest = hashlib.blake2b(digest_size=16)
    for value in module.state_dict().values():
        if isinstance(value, torch.Tensor):
            digest.update(f"{tuple(value.shape)}{value.dtype}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
