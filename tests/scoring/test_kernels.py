from __future__ import annotations

import pytest
import torch

from fewshot_llm.scoring import HIDDEN, attend, attend_band, attend_plainly, merge


def case(queries, keys, width=16, heads=2):
    generator = torch.Generator().manual_seed(queries * 1000 + keys)
    q, k, v = (torch.randn(2, heads, n, width, generator=generator) for n in (queries, keys, keys))
    return q, k, v


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (7, 300), (64, 64), (130, 513)])
def test_fused_kernel_equals_plain_products(queries, keys):
    q, k, v = case(queries, keys)
    bias = torch.where(torch.rand(queries, keys, generator=torch.Generator().manual_seed(1)) < 0.5, 0.0, HIDDEN)
    bias[:, 0] = 0.0
    for how in ({}, {"bias": bias}, {"causal": True} if queries == keys else {}):
        fast, slow = attend(q, k, v, scale=0.3, **how), attend_plainly(q, k, v, scale=0.3, **how)
        torch.testing.assert_close(fast[0], slow[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fast[1], slow[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", [attend, attend_plainly])
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_merged_parts_equal_the_whole(kernel, softcap):
    q, k, v = case(9, 40)
    how = {"scale": 0.3, "softcap": softcap}
    whole = kernel(q, k, v, **how)
    parts = [kernel(q, k[:, :, part], v[:, :, part], **how) for part in (slice(0, 25), slice(25, 40))]
    torch.testing.assert_close(merge(*parts), whole[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernel", [attend, attend_plainly])
def test_a_query_that_sees_nothing_counts_for_nothing(kernel):
    q, k, v = case(4, 12)
    seen = kernel(q, k, v, scale=0.3)
    bias = torch.zeros(4, 12)
    bias[2] = HIDDEN
    blind = kernel(q, k * 2, v * 3, scale=0.3, bias=bias)
    merged = merge(seen, blind)
    torch.testing.assert_close(merged[:, :, 2], seen[0][:, :, 2])
    assert torch.isfinite(merged).all()


def test_keys_may_be_an_expanded_view():
    q, k, v = case(5, 30)
    wide = tuple(part[:, :1].expand(2, 2, 30, 16) for part in (k, v))
    fast, slow = attend(q, *wide, scale=0.3), attend_plainly(q, *wide, scale=0.3)
    torch.testing.assert_close(fast[0], slow[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize(("tokens", "window"), [(5, 3), (256, 100), (700, 1), (700, 256), (700, 300), (600, 599)])
def test_a_band_equals_masked_attention(tokens, window, softcap):
    q, k, v = case(tokens, tokens)
    rows, columns = torch.arange(tokens)[:, None], torch.arange(tokens)
    bias = torch.where((columns <= rows) & (columns > rows - window), 0.0, HIDDEN).expand(2, 1, tokens, tokens)
    fast = attend_band(q, k, v, window=window, bias=bias, scale=0.3, softcap=softcap)
    slow = attend_plainly(q, k, v, scale=0.3, bias=bias, softcap=softcap)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
