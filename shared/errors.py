"""The exception tree. Every error is born complete: its HTTP status, its public words, whether to retry.

    FaceApiError
    ├── ClientError               the caller's doing
    │   ├── BadImage         400  not one of the five formats, too small, corrupt, animated where one frame is needed
    │   ├── Unauthorized     401  key missing, unknown or expired
    │   ├── Forbidden        403  key revoked or outside its scope
    │   ├── NotFound         404  no such key, page or picture
    │   ├── ReceiveTimeout   408  the request took too long to arrive
    │   ├── InProgress       409  it is being answered already, with Retry-After
    │   ├── TooLarge         413  bytes, pixels or decoded bytes over the limit
    │   ├── UnsupportedMedia 415  neither multipart nor image/*
    │   ├── BadParameter     422  unknown, missing or out of range
    │   ├── PoisonPicture    422  this picture ended two workers
    │   └── RateLimited      429  with Retry-After
    ├── Unavailable          503  retry later, with Retry-After
    │   ├── Overloaded            no place in the house
    │   │   └── NoTimeLeft        what waits already takes longer than this request has
    │   ├── DeadlineExceeded      the answer would come too late
    │   ├── NoWorker              no worker is serving
    │   ├── StoreDown             the key store cannot be reached or written
    │   └── StorageDown           where pictures are kept cannot be reached or written
    │       └── StorageRefused    it answers, and says no: to the credentials, or that there is no such bucket
    ├── DetectionFailed      500  a worker could not run this picture
    ├── DownloadError        —    a model could not be pulled from any source
    └── ConfigurationError   —    refuses to start; the message holds the mend
        └── SettingsError         every wrong FACE_API_* setting at once

Only `gateway/error_responses.py` turns them into responses. Our own bugs are assertions, never these.
"""


class FaceApiError(Exception):
    """Base of every error with a meaning; `str(error)` is safe to show to the caller."""

    status = 500
    retry_after_s: int | None = None
    headers: tuple[tuple[str, str], ...] = ()  # more of the answer's headers, such as RateLimit


class ClientError(FaceApiError):
    status = 400


class BadImage(ClientError):
    status = 400


class Unauthorized(ClientError):
    status = 401
    headers = (("WWW-Authenticate", 'ApiKey realm="face-api"'),)  # RFC 9110 §11.6.1 asks for one on every 401


class Forbidden(ClientError):
    status = 403


class NotFound(ClientError):
    status = 404


class ReceiveTimeout(ClientError):
    status = 408


class InProgress(ClientError):
    status = 409
    retry_after_s = 1

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; retry in {self.retry_after_s} second")


class TooLarge(ClientError):
    status = 413


class UnsupportedMedia(ClientError):
    status = 415


class BadParameter(ClientError):
    status = 422


class PoisonPicture(ClientError):
    status = 422


class RateLimited(ClientError):
    status = 429

    def __init__(self, message: str, retry_after_s: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, retry_after_s)
        self.headers = headers


class Unavailable(FaceApiError):
    status = 503

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, retry_after_s)


class Overloaded(Unavailable):
    """The house is full; the words are the API reference's own."""

    def __init__(self, retry_after_s: int = 1) -> None:
        seconds = max(1, retry_after_s)
        unit = "second" if seconds == 1 else "seconds"
        super().__init__(f"Server busy, retry in {seconds} {unit}", seconds)


class NoTimeLeft(Overloaded):
    """Refused at once, since the answer would take `needed_s` seconds and the request has fewer."""

    def __init__(self, retry_after_s: int, needed_s: float) -> None:
        super().__init__(retry_after_s)
        self.needed_s = needed_s


class DeadlineExceeded(Unavailable):
    """The request's own time ran out before its answer."""


class NoWorker(Unavailable):
    """No worker is serving at present."""


#: What is kept elsewhere comes back in moments, or when somebody has come.
STORE_RETRY_S = 5


class StoreDown(Unavailable):
    """The key store cannot be reached or written."""

    def __init__(self, message: str = "The key store cannot be reached") -> None:
        super().__init__(f"{message}; retry in {STORE_RETRY_S} seconds", STORE_RETRY_S)


class StorageDown(Unavailable):
    """Where pictures are kept cannot be reached or written."""

    def __init__(self, message: str = "The storage of pictures cannot be reached") -> None:
        super().__init__(f"{message}; retry in {STORE_RETRY_S} seconds", STORE_RETRY_S)
        self.why = message


class StorageRefused(StorageDown):
    """It will not be better in a while: somebody has to change something."""


class DetectionFailed(FaceApiError):
    status = 500


class DownloadError(FaceApiError):
    """A model could not be fetched, or what came is not it; the message says from where and why."""


class ConfigurationError(FaceApiError):
    """The service must not start like this; the message says what to do."""


class SettingsError(ConfigurationError):
    """All wrong settings of one start, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
