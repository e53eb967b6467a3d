"""How libjpeg lays out what it shares with its callers, as ctypes structures.

Source: jpeglib.h of libjpeg-turbo at JPEG_LIB_VERSION 62, whose layout its file name (libjpeg.so.62) stands for; the
library itself compares the sizes when it is asked to begin. Only the fields we use have speaking names.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_double, c_int, c_long, c_size_t, c_ubyte, c_uint, c_ushort, c_void_p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Fields = list[tuple[str, Any]]

LIB_VERSION = 62
#: J_COLOR_SPACE.
GRAYSCALE, RGB, YCBCR, BGR = 1, 2, 3, 8
#: What jpeg_consume_input returns.
REACHED_SOS = 1
#: Coefficients of a block.
BLOCK = 64
#: Which of a decompressor's modules decodes Huffman codes.
ENTROPY = 6


def _all(kind: Any, names: str) -> Fields:
    return [(name, kind) for name in names.split()]


class Errors(Structure):
    """jpeg_error_mgr."""

    _fields_ = [
        *_all(c_void_p, "error_exit emit_message output_message format_message reset_error_mgr"),
        ("msg_code", c_int),
        ("msg_parm", ctypes.c_char * 80),
        ("trace_level", c_int),
        ("num_warnings", c_long),
        ("message_table", c_void_p),
        ("last_message", c_int),
        ("addon_table", c_void_p),
        *_all(c_int, "first_addon last_addon"),
    ]


_COMMON = [*_all(c_void_p, "err mem progress client_data"), *_all(c_int, "is_decompressor global_state")]
_TABLES = [(name, c_void_p * 4) for name in ("quant_tables", "dc_tables", "ac_tables")]
_SCAN = [
    ("comps_in_scan", c_int),
    ("cur_comp_info", c_void_p * 4),
    *_all(c_uint, "mcus_per_row mcu_rows"),
    ("blocks_in_mcu", c_int),
    ("mcu_membership", c_int * 10),
    ("spectrum", c_int * 4),
]
_JFIF = [*_all(c_ubyte, "jfif_major jfif_minor density_unit"), *_all(c_ushort, "x_density y_density")]


class Decompress(Structure):
    """jpeg_decompress_struct."""

    _fields_ = [
        *_COMMON,
        ("src", c_void_p),
        *_all(c_uint, "width height"),
        *_all(c_int, "components space out_space"),
        *_all(c_uint, "scale_num scale_denom"),
        ("gamma", c_double),
        *_all(c_int, "buffered_image raw_data_out dct_method fancy_upsampling block_smoothing quantize_colors"),
        *_all(c_int, "dither_mode two_pass_quantize desired_colors enable_1pass enable_external enable_2pass"),
        *_all(c_uint, "output_width output_height"),
        *_all(c_int, "out_color_components output_components rec_outbuf_height actual_colors"),
        ("colormap", c_void_p),
        ("output_scanline", c_uint),
        ("input_scan_number", c_int),
        ("input_imcu_row", c_uint),
        ("output_scan_number", c_int),
        ("output_imcu_row", c_uint),
        ("coef_bits", c_void_p),
        *_TABLES,
        ("precision", c_int),
        ("comp_info", c_void_p),
        *_all(c_int, "progressive arithmetic"),
        ("arithmetic_conditions", c_ubyte * 48),
        ("restart_interval", c_uint),
        ("saw_jfif", c_int),
        *_JFIF,
        ("saw_adobe", c_int),
        ("adobe_transform", c_ubyte),
        ("ccir601", c_int),
        ("marker_list", c_void_p),
        *_all(c_int, "across_max down_max min_dct_size"),
        ("imcu_rows", c_uint),
        ("range_limit", c_void_p),
        *_SCAN,
        ("unread_marker", c_int),
        ("modules", c_void_p * 11),
    ]


class ByteSource(Structure):
    """jpeg_source_mgr: where the next byte lies, and how many there are from it on."""

    _fields_ = [("next_byte", c_void_p), ("bytes_left", c_size_t)]


class HuffmanBits(Structure):
    """jdhuff.c's bitread_perm_state and savable_state: bits that were read and not used, and by component the last
    block's first coefficient. No header shows where in a decoder they lie, and it is not the same in all versions.
    """

    _fields_ = [("get_buffer", c_size_t), *_all(c_int, "bits_left padding"), ("last_first", c_int * 4)]


class Compress(Structure):
    """jpeg_compress_struct."""

    _fields_ = [
        *_COMMON,
        ("dest", c_void_p),
        *_all(c_uint, "width height"),
        *_all(c_int, "input_components in_space"),
        ("gamma", c_double),
        *_all(c_int, "precision components space"),
        ("comp_info", c_void_p),
        *_TABLES,
        ("arithmetic_conditions", c_ubyte * 48),
        ("num_scans", c_int),
        ("scan_info", c_void_p),
        *_all(c_int, "raw_data_in arithmetic optimize_coding ccir601 smoothing dct_method"),
        ("restart_interval", c_uint),
        *_all(c_int, "restart_in_rows write_jfif"),
        *_JFIF,
        ("write_adobe", c_int),
        ("next_scanline", c_uint),
        *_all(c_int, "progressive across_max down_max"),
        ("imcu_rows", c_uint),
        *_SCAN,
        ("modules", c_void_p * 9),
        ("script_space", c_void_p),
        ("script_space_size", c_int),
    ]


class ComponentInfo(Structure):
    """jpeg_component_info."""

    _fields_ = [
        *_all(c_int, "identifier index across down quant_number dc_number ac_number"),
        *_all(c_uint, "columns rows"),
        ("dct_size", c_int),
        *_all(c_uint, "downsampled_width downsampled_height"),
        *_all(c_int, "needed mcu_width mcu_height mcu_blocks mcu_sample_width last_col_width last_row_height"),
        ("quant_table", c_void_p),
        ("dct_table", c_void_p),
    ]


class QuantTable(Structure):
    """JQUANT_TBL: steps in natural order."""

    _fields_ = [("steps", c_ushort * BLOCK), ("sent", c_int)]


class HuffmanTable(Structure):
    """JHUFF_TBL: codes of each length from 1 on, and their symbols."""

    _fields_ = [("lengths", c_ubyte * 17), ("symbols", c_ubyte * 256), ("sent", c_int)]


class Memory(Structure):
    """jpeg_memory_mgr."""

    _fields_ = [
        *_all(c_void_p, "small large sarray barray request_sarray request_barray realize access_sarray access_barray"),
        *_all(c_void_p, "free_pool self_destruct"),
        *_all(c_long, "max_memory max_alloc_chunk"),
    ]
