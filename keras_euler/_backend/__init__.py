"""Functions that Keras lacks or runs slowly. A test compares each with an equivalent in plain
Keras.

Only this folder imports TensorFlow, JAX and torch, and only inside functions. On JAX the plain
Keras layers are as fast as a hand-written network, because XLA fuses operations.
"""

from keras_euler._backend.calls import Direct, call_chain, call_layer, update_moving
from keras_euler._backend.derivatives import gradients, linearized
from keras_euler._backend.dtypes import float64_array, wide_dtype
from keras_euler._backend.files import (
    is_tensorflow_graph_tensor,
    is_tensorflow_tensor,
    leave_gpu_to_keras,
    on_strings_of_tensorflow,
    read_torch_file,
)
from keras_euler._backend.keras_private import (
    all_layers,
    averages_of,
    batches_seen,
    group_updates,
    inner_layers,
    is_rematerialized,
    mask_of,
    masked,
    pass_mask,
    run_graph,
)
from keras_euler._backend.kernels import (
    convolution,
    fused_batch_norm,
    halving_max_pool,
    is_compiling,
    largest,
    relu,
    store_filters_first,
)
from keras_euler._backend.norms import l2_norms, moments, norm_reader, sum_over_replicas
from keras_euler._backend.remat import Inside, rematerialize
