"""Networks built as shapes alone."""

import subprocess
import sys

import pytest
import torch

from gansmith import recipes
from gansmith.nn.unfilled import with_memory, without_memory


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize("player", [recipes.generator, recipes.discriminator])
def test_the_network_is_that_of_the_recipe_and_draws_nothing(name, player):
    recipe = recipes.get(name)
    before = torch.get_rng_state()
    with without_memory():
        network = player(recipe)
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    filled = with_memory(network)
    assert filled is network
    assert torch.equal(before, torch.get_rng_state())
    wanted = {key: (value.shape, value.dtype) for key, value in player(recipe).state_dict().items()}
    assert {key: (value.shape, value.dtype) for key, value in filled.state_dict().items()} == wanted
    assert all(weight.requires_grad for weight in filled.parameters())


def test_sampling_and_optimising_wait_for_no_compiler_of_torch():
    code = """if True:
        import sys
        import torch
        from gansmith import Generator, recipes
        from gansmith.training import optim
        from gansmith.nn.unfilled import with_memory, without_memory
        recipe = recipes.get("house")
        with without_memory():
            network = recipes.generator(recipe)
        Generator(with_memory(network), recipe).sample(4)
        z = torch.ones(4, requires_grad=True)
        (z.grad,) = torch.autograd.grad(z.sum(), z)
        optim.adam([z], 0.1).step()
        print(sorted({"sympy", "torch._dynamo", "torch._inductor"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
