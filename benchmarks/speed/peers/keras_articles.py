"""The same networks in Keras 3 on TensorFlow, trained as the articles do: compiled models and train_on_batch.

Each player is a compiled model; the generator learns through a second one with the discriminator frozen inside. Both
are traced once, the discriminator before it is frozen, and every batch has the same shape, so nothing is traced again.
Fakes come from ``predict`` where the recipe makes them in inference mode, else from a traced call.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.speed.peers import Built
from gansmith.recipe import Network, Optimizer, Recipe


def build(recipe: Recipe, precision: str, images: np.ndarray) -> Built:
    """fp32, as the articles ran it; ``precision`` may only be "fp32" or "auto"."""
    assert precision != "bf16"
    keras.utils.set_random_seed(0)
    black, white = recipe.pixels
    count, size = recipe.batch_size, recipe.noise.size
    data = images.transpose(0, 2, 3, 1).astype(np.float32) / 255 * (white - black) + black  # all at once, as published
    generator, discriminator = networks(recipe)
    target = np.concatenate([np.full((count, 1), recipe.real_label), np.zeros((count, 1))]).astype(np.float32)
    ones = np.ones((count, 1), np.float32)
    random = np.random.default_rng(0)
    in_training = tf.function(lambda z: generator(z, training=True))

    def noise(number: int) -> np.ndarray:
        low, high = recipe.noise.center - recipe.noise.scale, recipe.noise.center + recipe.noise.scale
        if recipe.noise.distribution == "uniform":
            return random.uniform(low, high, (number, size)).astype(np.float32)
        return random.normal(recipe.noise.center, recipe.noise.scale, (number, size)).astype(np.float32)

    discriminator.compile(loss="binary_crossentropy", optimizer=optimizer(recipe.discriminator_optimizer))
    discriminator.train_on_batch(np.concatenate([data[:count], data[:count]]), target)
    discriminator.trainable = False
    both = keras.Sequential([generator, discriminator])
    both.compile(loss="binary_crossentropy", optimizer=optimizer(recipe.generator_optimizer))
    both.train_on_batch(noise(count), ones)

    def one(index: int) -> tuple[float, float]:
        z = noise(count)
        fake = generator.predict(z, verbose=0) if recipe.fakes == "inference" else in_training(z).numpy()
        real = data[random.integers(0, len(data), count)]
        d_loss = discriminator.train_on_batch(np.concatenate([real, fake]), target)
        g_loss = both.train_on_batch(z if recipe.share_noise else noise(count), ones)
        return float(d_loss), float(g_loss)

    def sample(number: int) -> np.ndarray:
        made = (generator.predict(noise(number), verbose=0) - black) / (white - black) * 255
        return made.round().clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)

    parameters = {"generator": generator.count_params(), "discriminator": discriminator.count_params()}
    return Built(one, sample, parameters, "fp32")


class TransposeTo(layers.Layer):
    """tf.nn.conv2d_transpose to a stated size, as the article of `deconv` calls it: Keras' own layer only doubles."""

    def __init__(self, channels: int, size: int, padding: str) -> None:
        super().__init__()
        self.channels, self.size, self.padding = channels, size, padding

    def build(self, shape: tuple[int, ...]) -> None:
        """Kernel 5x5, (k, k, out, in) as TensorFlow has it."""
        self.kernel = self.add_weight(shape=(5, 5, self.channels, shape[-1]), initializer="glorot_uniform")
        self.bias = self.add_weight(shape=(self.channels,), initializer="zeros")

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """(N, H, W, C) -> (N, size, size, channels)."""
        shape = (tf.shape(maps)[0], self.size, self.size, self.channels)
        return tf.nn.conv2d_transpose(maps, self.kernel, shape, 2, self.padding) + self.bias


def networks(recipe: Recipe) -> tuple[keras.Model, keras.Model]:
    """The two networks of a recipe of 28x28 grey images, of any width."""
    g, d = recipe.generator, recipe.discriminator
    inputs, images = keras.Input((recipe.noise.size,)), keras.Input((28, 28, 1))
    if recipe.name in {"mlp", "mlp-bn"}:
        norm = recipe.name == "mlp-bn"
        hidden = [each for width in scaled((256, 512, 1024) if norm else (128,), g) for each in dense(width, g, norm)]
        last = layers.Dense(784, "tanh" if recipe.pixels[0] < 0 else "sigmoid")
        judging = [each for width in scaled((512, 256) if norm else (128,), d) for each in dense(width, d, False)]
        return (
            keras.Sequential([inputs, *hidden, last, layers.Reshape((28, 28, 1))]),
            keras.Sequential([images, layers.Flatten(), *judging, layers.Dense(1, "sigmoid")]),
        )
    if recipe.name == "deconv":
        return keras.Sequential([inputs, *deconv_generator(g)]), keras.Sequential([images, *deconv_discriminator(d)])
    transposed = recipe.name == "dcgan-transpose"
    return (
        keras.Sequential([inputs, *dcgan_generator(g, transposed)]),
        keras.Sequential([images, *dcgan_discriminator(d, transposed)]),
    )


def scaled(widths: tuple[int, ...], numbers: Network) -> list[int]:
    """Published widths times the recipe's factor."""
    return [max(1, round(width * numbers.width)) for width in widths]


def dense(width: int, numbers: Network, norm: bool) -> list[layers.Layer]:
    """A hidden layer of a perceptron."""
    return [
        layers.Dense(width),
        layers.LeakyReLU(negative_slope=numbers.slope),
        *([layers.BatchNormalization(momentum=0.8)] if norm else []),
    ]


def deconv_generator(numbers: Network) -> list[layers.Layer]:
    """z -> 2x2, 3x3, 6x6, 12x12, 28x28."""
    a, b, c = scaled((256, 128, 64), numbers)
    stages = [
        [TransposeTo(width, size, "SAME"), layers.BatchNormalization(), layers.ReLU()]
        for width, size in ((a, 3), (b, 6), (c, 12))
    ]
    return [
        layers.Reshape((2, 2, 25)),
        layers.ReLU(),
        *(each for stage in stages for each in stage),
        TransposeTo(1, 28, "VALID"),
        layers.Activation("tanh"),
    ]


def deconv_discriminator(numbers: Network) -> list[layers.Layer]:
    """Images -> probability of being real."""
    a, b, hidden = scaled((8, 16, 32), numbers)
    return [
        *(layers.Conv2D(a, 5, padding="same", activation="relu"), layers.AveragePooling2D(2)),
        *(layers.Conv2D(b, 5, padding="same", activation="relu"), layers.AveragePooling2D(2)),
        *(layers.Flatten(), layers.Dense(hidden, "relu"), layers.Dense(1, "sigmoid")),
    ]


def dcgan_generator(numbers: Network, transposed: bool) -> list[layers.Layer]:
    """z -> 7x7, 14x14, 28x28."""
    a, b, c, d = scaled((256, 128, 64, 32), numbers)
    kind = layers.Conv2DTranspose if transposed else layers.Conv2D

    def normed() -> list[layers.Layer]:
        return [layers.BatchNormalization(momentum=0.9), layers.LeakyReLU(negative_slope=numbers.slope)]

    return [
        *(layers.Dense(49 * a), *normed()),
        *(layers.Reshape((7, 7, a)), layers.Dropout(numbers.dropout)),
        *(layers.UpSampling2D(2), kind(b, 5, padding="same"), *normed()),
        *(layers.UpSampling2D(2), kind(c, 5, padding="same"), *normed()),
        *(kind(d, 5, padding="same"), *normed()),
        kind(1, 5, padding="same", activation="sigmoid"),
    ]


def dcgan_discriminator(numbers: Network, first_dropout: bool) -> list[layers.Layer]:
    """Images -> probability of being real."""

    def block(width: int, stride: int, drop: bool = True) -> list[layers.Layer]:
        convolution = layers.Conv2D(width, 5, strides=stride, padding="same")
        dropout = [layers.Dropout(numbers.dropout)] if drop else []
        return [convolution, layers.LeakyReLU(negative_slope=numbers.slope), *dropout]

    a, b, c, d = scaled((64, 128, 256, 512), numbers)
    blocks = [*block(a, 2, first_dropout), *block(b, 2), *block(c, 2), *block(d, 1)]
    return [*blocks, layers.Flatten(), layers.Dense(1, "sigmoid")]


def optimizer(numbers: Optimizer) -> keras.optimizers.Optimizer:
    """Adam or RMSprop with the recipe's numbers, which are Keras' own."""
    rate = numbers.lr
    if numbers.decay:
        rate = keras.optimizers.schedules.InverseTimeDecay(numbers.lr, 1, numbers.decay)
    if numbers.kind == "adam":
        return keras.optimizers.Adam(rate, numbers.beta1, numbers.beta2, numbers.eps, clipvalue=numbers.clip_value)
    return keras.optimizers.RMSprop(rate, rho=numbers.beta2, epsilon=numbers.eps, clipvalue=numbers.clip_value)
