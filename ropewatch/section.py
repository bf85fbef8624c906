"""What all sections of a site file have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Section(BaseModel):
    """Base of every section: read-only, and a misspelt key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_boolean(cls, value: object, info: ValidationInfo) -> object:
        # YAML reads a careless `yes` as true, and pydantic would take true for 1.
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = getattr(annotation, "__args__", (annotation,))
        if isinstance(value, bool) and (int in kinds or float in kinds):
            shown = str(value).lower()
            raise ValueError(f"{shown}, want a number; YAML reads yes, no, on and off as booleans")
        return value
