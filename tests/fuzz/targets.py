"""The table of all fuzz targets."""

from __future__ import annotations

from tests.fuzz import bodies, callers, children, conversations, decoders, frames, picture_seeds, pictures, services
from tests.fuzz.target import Target

_PICTURE = (
    "refused with words, or within every limit and of the size and number of pictures that Pillow reads; few steps"
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("jpeg", _PICTURE, pictures.walker("jpeg"), picture_seeds.jpeg,
               (b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\xc2", b"\xff\xe1", b"\xff\xe2",
                b"\xff\xc4", b"\xff\xdb", b"\xff\xdd", b"\xff\xd0", b"\xff\0", b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0", b"Adobe")),
        Target("png", _PICTURE, pictures.check_png, picture_seeds.png,
               (b"IHDR", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"sRGB", b"cICP", b"\0\0\0\0")),
        Target("tiff", _PICTURE, pictures.walker("tiff"), picture_seeds.tiff,
               tuple(number.to_bytes(2, order) for order in ("little", "big")
                     for number in (254, 255, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 322, 323, 324, 325, 338, 530, 34675))),
        Target("bmp", _PICTURE, pictures.walker("bmp"), picture_seeds.bmp, (b"BM", b"\0\1", b"\0\2", b"\0\0")),
        Target("webp", _PICTURE, pictures.check_webp, picture_seeds.webp,
               (b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"\x9d\x01\x2a")),
        Target("heif", "refused with words, or within every limit, and what is written anew of it is accepted and of the same kind; few steps",
               pictures.check_heif, picture_seeds.heif,
               (b"ftyp", b"heic", b"avif", b"mif1", b"meta", b"hdlr", b"pict", b"pitm", b"iinf", b"infe", b"iref", b"dimg", b"auxl", b"thmb",
                b"cdsc", b"iprp", b"ipco", b"ipma", b"iloc", b"idat", b"ispe", b"irot", b"imir", b"clap", b"colr", b"nclx", b"grid", b"hvcC", b"av1C")),
        Target("exif", "any block says an orientation of 1 to 8, in few steps", pictures.check_orientation, picture_seeds.exif,
               (b"Exif\0\0", b"II*\0", b"MM\0*", b"\x12\x01", b"\x01\x12"), longest=512),
        Target("whole", "small files opened, masked and encoded: a declared error, or pixels of the announced size; some rows of a JPEG as in the whole",
               decoders.check_whole, decoders.whole_seeds),
        Target("profile", "any colour profile in any kind of file: the picture is served",
               decoders.check_profile, decoders.profile_seeds,
               (b"RGB ", b"GRAY", b"CMYK", b"XYZ ", b"Lab ", b"acsp", b"mntr", b"prtr", b"desc", b"mluc", b"curv", b"para", b"A2B0",
                b"rTRC", b"kTRC", b"wtpt", b"sRGB", b"lut8", b"mft2", b"mAB ")),
        Target("multipart", "a declared error, or a picture and fields within the limits; the same in any chunks",
               bodies.check_body, bodies.body_seeds,
               (b"--b", b"--b--", b"\r\n", b"\r\n\r\n", b'Content-Disposition: form-data; name="image"', b"boundary=",
                b"Content-Transfer-Encoding: base64", b"image/png", b"filename*=utf-8''", b"charset="), longest=1024),
        Target("form", "a form as browsers write it arrives as it was sent, in any chunks", bodies.check_form, bodies.form_seeds,
               (b"\r\n", b"--", b"b-" * 7), longest=400),
        Target("params", "a 422 with words, or values within their ranges that come back the same as text, by query and by form",
               bodies.check_params, bodies.params_seeds, bodies.words(), longest=512),
        Target("number", "a number to Python's decimal arithmetic as well, or none; in few steps", bodies.check_number, bodies.number_seeds,
               (b"e+", b"E-", b"0.", b"999999999"), longest=256),
        Target("json", "the struct of an admin body, or a 422 with words by field", bodies.check_json, bodies.json_seeds,
               (b'"name"', b'"scopes"', b'"expires_in"', b'"detect_limit"', b'"mask_limit"', b'"grace"', b"null", b"\\u0000"), longest=512),
        Target("to-worker", "a WireError, or a message whose numbers can be counted with and crops of the announced shapes",
               frames.check_to_worker, frames.to_worker_seeds, frames.WORDS, longest=1024),
        Target("to-gateway", "a WireError, or a message whose numbers can be counted with and finite faces",
               frames.check_to_gateway, frames.to_gateway_seeds, frames.WORDS, longest=1024),
        Target("child", "a ValueError, or a message whose sizes can be mapped, whose times can be shown, of a known media type",
               children.check_child, children.seeds, children.WORDS, longest=512),
        Target("address", "an address in its one spelling or `unknown`, and the network it is limited with",
               callers.check_address, callers.address_seeds, (b"10.0.0.1", b"::ffff:", b"%25", b"[", b"]:80", b", ", b"2001:db8::"), longest=512),
        Target("http", "whole HTTP answers with statuses of ours, at most one refusal, and no task, connection or exception left",
               conversations.check_conversation, conversations.seeds, conversations.WORDS, longest=1024),
        Target("service", "the whole application over a socket: whole HTTP answers, no 5xx but that no worker serves, errors as words",
               services.check_service, services.seeds, services.WORDS, longest=1024),
        Target("key", "a key only with the right checksum, never shown whole, never taken from a URL",
               callers.check_key, callers.key_seeds, (b"xyl_", b"api_key=", b"%78yl_", b"&"), longest=256),
    )
}  # fmt: skip
