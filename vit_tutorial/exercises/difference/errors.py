"""What an exception means, in a learner's words."""

# ruff: noqa: E501  a line for each error

import math
import re
from collections.abc import Callable, Sequence
from types import FrameType

from torch import Tensor, nn

Match = re.Match[str]

LONGEST = 2000  # letters of a message that are read: to look for what may stand anywhere takes the square of them
_IN_ITS_PLACE = {
    "parameter": "only an nn.Parameter can take its place.",
    "child module": "only a layer can take its place. A list of layers is made one by nn.ModuleList([…]).",
}
MEANINGS: Sequence[tuple[type[BaseException], str, str | Callable[[Match], str]]] = (
    (
        RuntimeError,
        r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        lambda m: f"in a matrix product the last axis of the first, here {m[2]} long, meets the last but one of the "
        f"second, here {m[3]} long. They must be equally long: is one of them to be transposed, or has a layer "
        "another size?",
    ),
    (
        RuntimeError,
        r"[Ee]xpected size for first two dimensions of batch2 tensor to be: \[(\d+), (\d+)\] but got: \[(\d+), (\d+)\]",
        lambda m: f"in a product of batches of matrices the last axis of the first, {m[2]} long, meets the last but "
        f"one of the second, {m[4]} long, and there are {m[1]} and {m[3]} of them. Is one to be transposed: "
        "x.transpose(-2, -1)?",
    ),
    (
        RuntimeError,
        r"needed for gradient computation has been modified by an inplace operation",
        "a tensor that the gradient still needs is changed in place, by += or x[…] = …. Make a new one: x = x + ….",
    ),
    (
        RuntimeError,
        r"batch[12] must be a 3D tensor",
        "`bmm` multiplies batches of matrices, three axes each, and one of these has another number. Write a @ b, which "
        "takes any number of axes.",
    ),
    (
        RuntimeError,
        r"size mismatch, got input \((\d+)\), mat \((\d+)x(\d+)\), vec \((\d+)\)",
        lambda m: f"a matrix of {m[3]} columns meets a vector of {m[4]} numbers. They must be equally many.",
    ),
    (
        RuntimeError,
        r"inconsistent tensor size, expected tensor \[(\d+)\] and src \[(\d+)\]",
        lambda m: f"a dot product of vectors of {m[1]} and {m[2]} numbers. They must be equally long.",
    ),
    (
        RuntimeError,
        r"view size is not compatible with input tensor's size and stride",
        "`view` can only join axes that lie side by side in memory, and after permute or transpose they do not. Use "
        "`reshape`, which copies first.",
    ),
    (
        RuntimeError,
        r"shape '\[([-\d, ]*)\]' is invalid for input of size (\d+)",
        lambda m: _of_a_shape([int(length) for length in m[1].split(",") if length.strip()], int(m[2])),
    ),
    (
        RuntimeError,
        r"The size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\) at non-singleton dimension (\d+)",
        lambda m: f"two tensors are joined number by number, and along axis {m[3]} one has {m[1]} and the other {m[2]}."
        " Lengths must be equal, or 1: is an axis missing, or in another place?",
    ),
    (
        RuntimeError,
        r"Sizes of tensors must match except in dimension (\d+)\. Expected size (\d+) but got size (\d+)",
        lambda m: f"`cat` along axis {m[1]} joins tensors whose other axes are equally long; here one has {m[2]} and "
        f"another {m[3]}. Is it the right axis, and is everything expanded to the batch?",
    ),
    (
        RuntimeError,
        r"Tensors must have same number of dimensions: got (\d+) and (\d+)",
        lambda m: f"`cat` joins tensors with as many axes each, and here one has {m[1]} and the other {m[2]}.",
    ),
    (
        RuntimeError,
        r"The expanded size of the tensor \((-?\d+)\) must match the existing size \((\d+)\) at non-singleton dimension "
        r"(\d+)",
        lambda m: f"`expand`, or writing into a slice, wants {m[1]} along axis {m[3]}, where there are {m[2]}. Only an "
        "axis of length 1 can be stretched.",
    ),
    (
        RuntimeError,
        r"expand\(.*the number of sizes provided \((\d+)\) must be greater or equal to the number of dimensions in the "
        r"tensor \((\d+)\)",
        lambda m: f"`expand` gets {m[1]} lengths for a tensor of {m[2]} axes: name them all.",
    ),
    (
        RuntimeError,
        r"stack expects each tensor to be equal size, but got (\[.*?\]) at entry 0 and (\[.*?\]) at entry (\d+)",
        lambda m: f"`stack` joins tensors of one shape, and here the first is {m[1]} and number {m[3]} is {m[2]}.",
    ),
    (
        RuntimeError,
        r"split_with_sizes expects split_sizes to sum exactly to (\d+)",
        lambda m: f"the parts that you split into do not add up to {m[1]}, the length of the axis.",
    ),
    (
        RuntimeError,
        r"number of dims don't match in permute|permute\(sparse_coo\): number of dimensions in the tensor input does "
        r"not match the length of the desired ordering",
        "`permute` must name every axis of the tensor once. Has it another number of axes than you think?",
    ),
    (
        RuntimeError,
        r"permute\(\): duplicate dims|repeated dim in permute",
        "`permute` names an axis twice. Each axis once.",
    ),
    (
        RuntimeError,
        r"unflatten: Provided sizes \[(.*?)\] don't multiply up to the size of dim (-?\d+) \((\d+)",
        lambda m: f"you split axis {m[2]}, which is {m[3]} long, into {m[1]}: these must multiply to it.",
    ),
    (
        RuntimeError,
        r"Given groups=1, weight of size \[(\d+), (\d+), (\d+), (\d+)\], expected input\[.*\] to have (\d+) channels, "
        r"but got (\d+) channels",
        lambda m: f"the convolution is made for {m[2]} channels, and the images have {m[6]}. Is in_channels its first number?",
    ),
    (
        RuntimeError,
        r"Kernel size can't be greater than actual input size|Kernel size: \(.*\) can't be greater",
        "the kernel is larger than the image.",
    ),
    (
        RuntimeError,
        r"have (?:the )?same dtype|expected scalar type (\w+) but found (\w+)|"
        r"Input type .* and .* type .* should be the same",
        "numbers of two kinds meet, such as float32 and float64, or whole numbers and fractions: make both the same "
        "with x.to(y.dtype).",
    ),
    (
        RuntimeError,
        r'"?(\w+)"? not implemented for \'(Long|Int|Bool)\'|mean\(\): could not infer output dtype|'
        r"can only be computed|softmax_lastdim_kernel_impl",
        "this works on fractions, and here are whole numbers or True and False: x.float() turns them into fractions.",
    ),
    (
        RuntimeError,
        r"a leaf Variable that requires grad is being used in an in-place operation|a view of a leaf Variable",
        "a parameter is changed in place. Make a new tensor of it, or write into it under torch.no_grad().",
    ),
    (
        RuntimeError,
        r"Can't call numpy\(\) on Tensor that requires grad",
        "a tensor that is learned cannot become an array as it is: stay with torch, or .detach() it first.",
    ),
    (RuntimeError, r"must match", "two tensors do not fit together: compare their shapes below."),
    (
        RuntimeError,
        r"Boolean value of Tensor with more than one value is ambiguous",
        "`if`, `and`, `or` and `not` need one yes or no, and here is one for each number. Use .all() or .any(), or "
        "&, | and ~ for masks.",
    ),
    (
        RuntimeError,
        r"\"bitwise_\w+\" not implemented for '(\w+)'",
        lambda m: f"&, | and ~ work on True and False, and here are numbers of kind {m[1]}: make the tensor with "
        "dtype=torch.bool.",
    ),
    (
        RuntimeError,
        r"masked_fill_? only supports boolean masks|expected BoolTensor|expected.*Bool",
        "the mask must hold True and False: mask.bool().",
    ),
    (
        TypeError,
        r"~ \(operator\.invert\) is only implemented on integer and Boolean",
        "`~` turns True and False around; for a mask of numbers make it mask.bool() first.",
    ),
    (RuntimeError, r"Subtraction, the `-` operator, with (a|two) bool", "True and False cannot be subtracted: use ~, & and |."),
    (
        RuntimeError,
        r"einsum\(\): (.*)",
        lambda m: f"the letters of `einsum` do not fit the shapes: {m[1]}. One letter for each axis, and one length for "
        "each letter.",
    ),
    (
        RuntimeError,
        r"expected 4D input|expected 3D \(unbatched\) or 4D|Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d, "
        r"but got input of size: (\[.*?\])",
        "a convolution wants images, [B, C, H, W].",
    ),
    (
        RuntimeError,
        r"Given normalized_shape=\[(\d+)\], expected input with shape \[\*, (\d+)\], but got input of size(\[.*?\])",
        lambda m: f"the norm is made for tokens of {m[1]} numbers, and gets {m[3]}: the last axis must be {m[1]} long.",
    ),
    (
        RuntimeError,
        r"Expected tensor for argument #1 'indices' to have one of the following scalar types",
        "an nn.Embedding takes whole numbers, the places of its rows, such as torch.arange(N), and here it gets fractions.",
    ),
    (
        RuntimeError,
        r"shape mismatch: value tensor of shape (\[.*?\]) cannot be broadcast to indexing result of shape (\[.*?\])",
        lambda m: f"the places on the left of = have the shape {m[2]}, and what is written into them {m[1]}: they must fit.",
    ),
    (
        RuntimeError,
        r"output with shape (\[.*?\]) doesn't match the broadcast shape (\[.*?\])",
        lambda m: f"a tensor of shape {m[1]} is changed in place, by += or the like, and the result has {m[2]}. In place "
        "it cannot grow: x = x + … makes a new one.",
    ),
    (
        RuntimeError,
        r"refer to a single memory location",
        "you read from the tensor that you write to. Write into a copy, x.clone().",
    ),
    (
        RuntimeError,
        r"Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
        "`repeat` wants one number for each axis of the tensor: how often it is repeated along this axis.",
    ),
    (
        RuntimeError | IndexError,
        r"tensors used as indices must be long|indices should be",
        "only whole numbers or True and False can be places: x.long(). Or are these values, and not places?",
    ),
    (
        RuntimeError,
        r"Class values must be smaller than num_classes",
        "F.one_hot got a number that is no class: classes go from 0 to num_classes - 1. Is its second argument the number "
        "of classes, and are these labels, and not places?",
    ),
    (
        RuntimeError,
        r"result type (\w+) can't be cast to the desired output type (\w+)",
        lambda m: f"you write numbers of kind {m[1]} into a tensor of kind {m[2]}: make it with dtype=torch.float32.",
    ),
    (
        RuntimeError,
        r"Integers to negative integer powers are not allowed",
        "whole numbers cannot be raised to a negative power: use fractions, x.float().",
    ),
    (
        IndexError,
        r"index (-?\d+) is out of bounds for dimension (\d+) with size (\d+)",
        lambda m: f"there is no place {m[1]} along this axis: "
        + (f"it has {m[3]}, counted from 0 to {int(m[3]) - 1}." if int(m[3]) else "it has length 0."),
    ),
    (
        IndexError,
        r"too many indices for tensor of dimension (\d+)|too many indices for array: array is (\d+)",
        lambda m: f"more places are given than there are axes: this tensor has {m[1] or m[2]}.",
    ),
    (
        IndexError,
        r"[Dd]imension out of range \(expected to be in range of \[(-?\d+), (-?\d+)\], but got (-?\d+)\)",
        lambda m: f"there is no axis {m[3]}: this tensor has axes {m[1]} to {m[2]}.",
    ),
    (
        IndexError,
        r"Dimension specified as (-?\d+) but tensor has no dimensions",
        "this is one number, with no axis at all.",
    ),
    (
        IndexError,
        r"(list|tuple|string) index out of range",
        lambda m: f"the {m[1]} has no such place: it is shorter.",
    ),
    (
        IndexError,
        r"The shape of the mask \[(.*?)\] at index (\d+) does not match the shape of the indexed tensor \[(.*?)\]",
        lambda m: f"the mask is [{m[1]}], and the tensor [{m[3]}]: they must fit axis by axis.",
    ),
    (IndexError, r"invalid index of a 0-dim tensor", "this is one number, with no axis: there is nothing to pick from."),
    (
        ValueError,
        r"not enough values to unpack \(expected (?:at least )?(\d+), got (\d+)\)",
        lambda m: f"{m[1]} names stand on the left, and there are {m[2]} things on the right. A tensor is unpacked along "
        "its first axis; x.shape has one number for each axis.",
    ),
    (
        ValueError,
        r"too many values to unpack \(expected (\d+)",
        lambda m: f"{m[1]} names stand on the left, and there are more things on the right. A tensor is unpacked along "
        "its first axis; x.shape has one number for each axis.",
    ),
    (
        ValueError,
        r"only one element tensors can be converted|only one-element tensors|setting an array element",
        "single numbers are needed, and here are tensors of several. A list of tensors becomes one by torch.stack or "
        "torch.cat; in place of math's functions take torch's.",
    ),
    (
        ValueError,
        r"math domain error|^expected a \w+ input",
        "math cannot do this: the root of something negative, or the logarithm of 0.",
    ),
    (
        ValueError,
        r"there are positions for tokens \[B, (\d+), (\d+)\], but the tokens are \[([\d, ]*)\]",
        lambda m: _of_positions(int(m[1]), int(m[2]), [int(length) for length in m[3].split(", ") if length]),
    ),
    (
        ValueError,
        r"dim (\d+) does not divide",
        "the heads must share D evenly.",
    ),
    (
        ValueError | AssertionError,
        r"\b(\w+)(?: \(\d+\))? must be divisible by (\w+)",
        lambda m: f"`{m[1]}` must be a multiple of `{m[2]}`.",
    ),
    (TypeError, r"^(?:reshape|view|expand|repeat|permute|flatten|zeros|ones|empty|rand)\(\) takes \d+ positional", "lengths and axes are whole numbers, and here is another thing: a fraction (divide with // and not with /), a tensor or a list."),
    (TypeError, r"'(Tensor|Parameter)' object is not callable", "a tensor is called like a function. Is an operator missing in front of the bracket, or do square brackets belong there?"),
    (TypeError, r"'bool' object is not callable", "True or False is called like a function: leave the round brackets out (self.training has none)."),
    (TypeError, r"'NoneType' object is not callable", "None is called like a function: what stands in front of the brackets was never made, or never returned."),
    (TypeError, r"'(int|float|tuple|list|str|dict|torch\.Size)' object is not callable", lambda m: f"a {m[1]} is called like a function: is an operator missing, or has it the name of a function? (x.shape has square brackets, x.size() round ones.)"),
    (TypeError, r"'builtin_function_or_method' object is not subscriptable", "functions and methods need round brackets: x.size(0), or x.shape[0]."),
    (TypeError, r"'(\w+)' object is not subscriptable", lambda m: f"square brackets stand behind {_kind(m[1])}, which has no places. Is it to be called first?"),
    (TypeError, r"not supported between instances of .*'torch\.return_types\.(\w+)'", lambda m: f"`{m[1]}` with an axis gives two things, the values and their places: take .values, or leave the axis out."),
    (TypeError, r"unsupported operand type\(s\) for (\S+): '(\w+)' and '(\w+)'", lambda m: f"`{m[1]}` does not work between {_kind(m[2])} and {_kind(m[3])}.{' A power is **.' * (m[1] == '^')}"),
    (TypeError, r"'(\w+)' object cannot be interpreted as an integer", lambda m: f"a whole number is needed, and this is {_kind(m[1])}{': divide with // and not with /' * (m[1] == 'float')}."),
    (TypeError, r"got \([^)]*float[^)]*\)[\s\S]*tuple of ints|tuple of ints, ?(?:not|but got) float|found element of type float|must be int, not float", "lengths and axes are whole numbers: divide with // and not with /."),
    (TypeError, r"'(\w+)' object is not iterable|cannot unpack non-iterable (\w+)", lambda m: f"{_kind(m[1] or m[2])} is gone through, or unpacked, as if it were several things."),
    (TypeError, r"'(\w+)' object does not support item assignment", lambda m: f"x[…] = … writes into {_kind(m[1])}, in which no place can be written."),
    (TypeError, r"iteration over a 0-d tensor", "one number is gone through, or unpacked, as if it were several."),
    (TypeError, r"(\S+) missing (\d+) required (positional |keyword-only )?arguments?: (.*)", lambda m: f"`{_last(m[1])}` is called without {m[4]}."),
    (TypeError, r"^Parameter\.__new__\(\) takes", "nn.Parameter takes one tensor, as in nn.Parameter(torch.zeros(1, 1, D)), and no lengths."),
    (TypeError, r"(\S+) takes (?:from )?(\d+)(?: to (\d+))? positional arguments? but (\d+) (was|were) given", lambda m: f"`{_last(m[1])}` is called with {m[4]} things in its brackets, and takes {m[3] or m[2]}{' (self is counted)' * _is_method(m[1])}."),
    (TypeError, r"_DropoutNd\.__init__\(\) got an unexpected keyword argument '(\w+)'", lambda m: f"nn.Dropout makes a layer, and knows no `{m[1]}`. The function is F.dropout."),
    (TypeError, r"_forward_unimplemented", "what is called has no forward. A list of layers is gone through: for layer in self.layers: x = layer(x)."),
    (TypeError, r"(\S+) got an unexpected keyword argument '(\w+)'", lambda m: f"`{_last(m[1])}` knows no `{m[2]}`."),
    (TypeError, r"(\S+) got multiple values for argument '(\w+)'", lambda m: f"`{m[2]}` is given twice to `{_last(m[1])}`."),
    (TypeError, r"(conv2d|linear|layer_norm|gelu|softmax|relu|dropout|embedding)\(\): argument '(\w+)'.* must be Tensor, not (\w+)", lambda m: f"`{m[1]}` wants a tensor, and gets a {m[3]}{_yet_to_be_called(m[3])}."),
    (TypeError, r"(\w+)\(\): argument '(\w+)' \(position \d+\) must be (.*?), not (\w+)", lambda m: f"`{m[1]}` wants {_kind(m[3])} for {m[2]}, and gets {_kind(m[4])}."),
    (TypeError, r"(\w+)\(\) received an invalid combination of arguments", lambda m: f"`{m[1]}` cannot be called like this: look at what it gets, and in which order."),
    (TypeError, r"expected (\w+) as element (\d+) in argument 0, but got (\w+)", lambda m: f"a list of {m[1]}s is needed, and number {m[2]} in it is a {m[3]}."),
    (TypeError, r"cannot assign '(.*?)' (object )?(to|as) (parameter|child module) '(\w+)'", lambda m: f"`{m[5]}` is a {m[4]}, and {_IN_ITS_PLACE[m[4]]}"),
    (TypeError, r"only integer tensors of a single element can be converted to an index|list indices must be integers or slices", "one whole number is needed, as a place or a count, and here is another thing."),
    (TypeError, r"unhashable type: '(\w+)'", lambda m: f"a {m[1]} cannot be looked up, or be the name of something."),
    (TypeError, r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'", lambda m: f"{_kind(m[2])} and {_kind(m[3])} cannot be compared."),
    (TypeError, r"'(\w+)' object is not a mapping|'(\w+)' object is not an iterator", "another kind of thing is needed here."),
    (TypeError, r"bad operand type for unary (\S+): '(\w+)'", lambda m: f"`{m[1]}` does not work on {_kind(m[2])}."),
    (TypeError, r"must be real number, not (\w+)|only (tensors with one element|one element tensors|0-dimensional arrays|length-1 arrays) can be converted to Python scalars", "`math` works on one number; for tensors take torch's function."),
    (RuntimeError, r"a Tensor with (\d+) elements cannot be converted to Scalar", "`math` and `item` work on one number; for tensors take torch's function."),
    (AttributeError, r"cannot assign (module|parameter)s? before Module\.__init__\(\) call", "`super().__init__()` is missing: it is the first line of __init__."),
    (AttributeError, r"'tuple' object has no attribute '(\w+)'", lambda m: f"this is several things, and `{m[1]}` belongs to one tensor: take one of them, [0]."),
    (AttributeError, r"'NoneType' object has no attribute '(\w+)'", lambda m: f"`{m[1]}` is asked of None. Did a function return nothing, or is there no mask here?"),
    (AttributeError, r"'(int|float|tuple|list)' object has no attribute 'detach'", "`detach` is asked of something that is no tensor. nn.Parameter takes a tensor, as in nn.Parameter(torch.zeros(1, 1, D))."),
    (AttributeError, r"'(\w+)' object has no attribute '(\w+)'", lambda m: f"{_kind(m[1])} has no `{m[2]}`. Was it made in __init__, under this name?" if m[1] not in _PLAIN else f"{_kind(m[1])} has no `{m[2]}`."),
    (AttributeError, r"module '([\w.]+)' has no attribute '(\w+)'", lambda m: f"`{m[1]}` has no `{m[2]}`."),
    (NameError, r"cannot access local variable '(\w+)'|local variable '(\w+)' referenced before", lambda m: f"`{m[1] or m[2]}` is used before it gets a value: is it set on every way through?"),
    (NameError, r"name '(\w+)' is not defined", lambda m: f"nothing here is called `{m[1]}`. Is it misspelled, or an argument, or self.{m[1]}?"),
    (
        RuntimeError,
        r"maximum size for tensor at dimension (\d+) is (\d+) but size is (\d+)",
        lambda m: f"`unfold` cuts pieces of {m[3]} out of axis {m[1]}, which is {m[2]} long: is it the right axis?",
    ),
    (
        RuntimeError,
        r"The expanded size of the tensor \(-1\) isn't allowed in a leading",
        "`expand` with -1 keeps an axis, and here there is none to keep: the tensor has fewer axes than you name.",
    ),
    (
        RuntimeError,
        r"Non-empty (\d)D data tensor expected but got a tensor with sizes (\[.*?\])",
        lambda m: f"nothing is left in the tensor, {m[2]}: an axis has length 0.",
    ),
    (TypeError, r"slice indices must be integers", "the ends of a slice must be whole numbers: divide with // and not with /."),
    (
        NotImplementedError,
        r"Module \[(?:ModuleList|ModuleDict)\] is missing the required",
        "a ModuleList is a list of layers, and cannot be called. Go through it: for layer in self.layers: x = layer(x); "
        "or make it nn.Sequential.",
    ),
    (
        NotImplementedError,
        r'Module \[(\w+)\] is missing the required "forward"',
        lambda m: f"the class {m[1]} has no `forward`. Is it misspelled, or not indented like __init__?",
    ),
    (
        RuntimeError,
        r"dictionary (?:keys )?changed (?:size )?during iteration",
        "the dictionary is changed while you go through it. Fill a new one.",
    ),
    (KeyError, r"(.*)", lambda m: f"there is no {m[1]} in the dictionary."),
    (ZeroDivisionError, r"", "something is divided by 0."),
    (RuntimeError, r"^ZeroDivisionError$", "something is divided by 0."),
    (RuntimeError, r"(gather|scatter)\(\): Expected dtype int32/int64 for index", lambda m: f"`{m[1]}` takes places, whole numbers such as .argsort(dim=1) gives, and these are fractions."),
    (RuntimeError, r"shifts and dimensions must align", "`roll` wants as many axes as numbers: x.roll((rows, columns), dims=(2, 3))."),
    (TypeError, r"can only concatenate list", "something is added to a list. Is it a list by mistake, with torch.cat or torch.stack left out?"),
    (ValueError, r"^(max|min)\(\) (?:arg|iterable argument) is (?:an )?empty", lambda m: f"`{m[1]}` gets a list with nothing in it."),
    (OverflowError | ValueError, r"cannot convert float (infinity|NaN) to integer", lambda m: f"{m[1]} cannot become a whole number. Is something divided by 0?"),
    (OverflowError, r"", "a number grew too large."),
    (RecursionError, r"", "the function calls itself, again and again, without an end. Is `self(…)` or its own name inside?"),
    (MemoryError, r"", "it wants more memory than there is."),
    (AssertionError, r"(.{0,200})", lambda m: f"an assert does not hold{': ' + m[1] if m[1] else ''}."),
    (ModuleNotFoundError, r"No module named '(.*)'", lambda m: f"there is no package `{m[1]}` here."),
)  # fmt: skip
_PLAIN = {"Tensor", "int", "float", "str", "list", "dict", "tuple", "Parameter", "builtin_function_or_method", "method"}


def meaning(error: BaseException) -> str:
    """Return what an exception means, or nothing."""
    try:
        text = str(error)[:LONGEST]
    except Exception:  # an exception may be anything
        return ""
    if type(error).__name__ == "EinopsError":
        return _of_einops(text)
    for kind, pattern, words in MEANINGS:
        if isinstance(error, kind) and (found := re.search(pattern, text)):
            return words if isinstance(words, str) else words(found)
    return ""


def meaning_in(error: BaseException, frame: FrameType, line: str) -> str:
    """Return what an exception means that this line of code raised, or nothing."""
    words = meaning(error)
    if "@" in line:
        words = words.replace("two tensors are joined number by number, and", "two tensors do not fit:")
    for name in re.findall(r"(\w+)\.T\b", line):
        value = frame.f_locals.get(name)
        if words and isinstance(value, Tensor) and value.ndim > 2:
            return f"{words} `{name}.T` turns all {value.ndim} axes around: {name}.transpose(-2, -1) exchanges the last two."
    return words


def shapes_nearby(frame: FrameType, line: str) -> str:
    """Return the shapes of the tensors that a line of code names: "q is [2, 3], k is [2, 3]"; or nothing."""
    seen = {}
    for name in re.findall(r"(?:self\.)?[A-Za-z_]\w*", line):
        value = frame.f_locals.get(name)
        if name.startswith("self.") and "self" in frame.f_locals:
            value = getattr(frame.f_locals["self"], name.removeprefix("self."), None)
        if isinstance(value, Tensor):
            seen[name] = f"{name} is {list(value.shape)}"
        elif isinstance(value, tuple | list) and value and all(isinstance(part, Tensor) for part in value):
            seen[name] = f"{name} is {len(value)} tensors, the first {list(value[0].shape)}"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seen[name] = f"{name} is {value:g}"
    return ", ".join(seen.values())


def _of_einops(text: str) -> str:
    reason = text.strip().rpartition("\n")[2].strip()
    if found := re.search(r"can't divide axis of length (\d+) in chunks of (\d+)", text):
        return f"an axis of {found[1]} cannot be cut into parts of {found[2]}."
    if "Wrong shape: expected" in text:
        return "the left side of the pattern has another number of axes than the tensor."
    if "Identifiers only on one side" in text:
        return "an axis stands on one side of the pattern only. Both sides name the same axes."
    return f"the pattern does not fit the tensor: {reason}" if reason else ""


def _of_a_shape(lengths: Sequence[int], count: int) -> str:
    """Return words for a shape that the numbers do not fill; an axis can be forgotten only if some are left over."""
    said = f"you ask for the shape {list(lengths)}, and there are {count} numbers: the lengths must multiply to that."
    wanted = math.prod(length for length in lengths if length > 0)
    if -1 in lengths:
        return f"{said} They cannot, whatever -1 stands for: {wanted} does not divide {count}."
    if wanted and count % wanted == 0:
        return f"{said} Is an axis forgotten, the batch or the channels?"
    return f"{said} Yours multiply to {wanted:,}."


def _of_positions(count: int, dim: int, tokens: Sequence[int]) -> str:
    """Return words for tokens to which positions, so many of so many numbers each, cannot be added."""
    if len(tokens) != 3:
        return f"positions are added to tokens, [B, N, D], and here are {list(tokens)}."
    if tokens[1] != count:
        return "the number of tokens is not that of the positions: is the class token in front, and only once?"
    return f"each position holds {dim} numbers, and each token {tokens[2]}: D must be one and the same."


def _is_method(name: str) -> bool:
    """Say whether a function, by its full name in an error, belongs to a class."""
    return "." in name.rpartition("<locals>.")[2]


def _yet_to_be_called(name: str) -> str:
    """Return what to add if a layer, by the name of its class, stands in place of a tensor."""
    layer = getattr(nn, name, None)
    if not (isinstance(layer, type) and issubclass(layer, nn.Module)):
        return ""
    return f", which is a layer and not what it returns. A layer is made first and then called: nn.{name}(…)(x)"


def _kind(name: str) -> str:
    kinds = {"NoneType": "None", "str": "a text", "int": "a whole number", "float": "a fraction", "list": "a list"}
    kinds |= {"tuple": "several things (a tuple)", "Tensor": "a tensor", "dict": "a dictionary", "method": "a method"}
    return kinds.get(name, f"a {name}")


def _last(name: str) -> str:
    return name.removesuffix("()").removesuffix(".__init__").rpartition(".")[2]
