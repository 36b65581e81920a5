import pytest
import torch

from glid_mm.models.layers.attention import attend


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('biased', [False, True])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_on_cpus_is_rounded_once(dtype, biased, autocast):
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(2, 3, n, 8).to(dtype).requires_grad_() for n in (5, 7, 7))
    given = torch.randn(5, 7).to(dtype) if biased else None
    bias = given if biased else torch.zeros(5, 7)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        out = attend(q, k, v, given)
    assert out.dtype == dtype
    logits = q.double() @ k.double().transpose(-1, -2) / 8**.5 + bias.double()
    expected = logits.softmax(-1) @ v.double()
    # Half a unit in the last place of results below 4.
    limit = 4 * torch.finfo(dtype).eps / 2
    assert expected.abs().max() < 4
    assert (out - expected).abs().max() <= limit
    out.sum().backward()
    assert q.grad.dtype == dtype and q.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_keys_that_do_not_exist_have_no_weight(dtype):
    torch.manual_seed(0)
    q, k, v = (torch.randn(6, 3, n, 8).to(dtype) for n in (5, 7, 7))
    exists = torch.rand(2, 7) < .6
    exists[:, 0] = True
    v[::2][:, :, ~exists[0]] = 1e6
    bias = torch.randn(1, 3, 5, 7).to(dtype)
    out = attend(q, k, v, bias, exists)
    allowed = exists.repeat(3, 1)[:, None, None]
    logits = q.double() @ k.double().transpose(-1, -2) / 8**.5
    logits = (logits + bias.double()).masked_fill(~allowed, -torch.inf)
    expected = logits.softmax(-1) @ v.double()
    limit = 1e-12 if dtype == torch.float64 else .02
    assert (out - expected)[::2].abs().max() <= limit
    assert (out - expected)[1::2].abs().max() <= limit
    nothing = attend(q, k, v, bias, torch.zeros(1, 7, dtype=torch.bool))
    assert nothing.isfinite().all()
