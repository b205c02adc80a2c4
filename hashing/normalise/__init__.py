"""Raw values of an extract to normalised and derived values (docs/spec/normalisation.md)."""

from hashing.normalise.address import derive_address, normalise_address
from hashing.normalise.dates import derive_date, normalise_date
from hashing.normalise.fingerprint import NORMALISER_VERSION, guess_standards, normaliser_fingerprint
from hashing.normalise.full_name import split_full_name
from hashing.normalise.identifiers import normalise_nhs_number, normalise_uprn
from hashing.normalise.names import alternative_names, derive_name, normalise_forename, normalise_surname
from hashing.normalise.outcome import Normalised, Outcome
from hashing.normalise.postcode import derive_postcode, normalise_postcode
from hashing.normalise.sex import normalise_sex

__all__ = [
    "NORMALISER_VERSION",
    "Normalised",
    "Outcome",
    "alternative_names",
    "derive_address",
    "derive_date",
    "derive_name",
    "derive_postcode",
    "guess_standards",
    "normalise_address",
    "normalise_date",
    "normalise_forename",
    "normalise_nhs_number",
    "normalise_postcode",
    "normalise_sex",
    "normalise_surname",
    "normalise_uprn",
    "normaliser_fingerprint",
    "split_full_name",
]
