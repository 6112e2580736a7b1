"""JSON from strangers: read as far as it can be, so that half a character does not cost the rest of an answer."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def read_json(model: type[M], body: str | bytes) -> M:
    """The model; a lone surrogate, which Python and JavaScript write into JSON and no UTF-8 exists for, is a `?`.

    Raises ValueError (pydantic's, or that of JSON) or RecursionError for what is no such thing.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError:
        mended = json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace")
        return model.model_validate_json(mended)
