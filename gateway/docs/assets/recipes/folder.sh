# One after the other. `python -m client mask photos/ -o masked/` does several at once, waits when it must, and goes on.
mkdir -p masked
for photo in photos/*.jpg; do
  curl -sS -H "X-API-Key: xyl_your_api_key_here" -F "image=@$photo" --fail-with-body --retry 5 \
    "http://127.0.0.1:8000/api/v1/mask?method=pixelate&strength=60" -o "masked/${photo##*/}" ||
    { cat "masked/${photo##*/}"; rm "masked/${photo##*/}"; echo " $photo" ; } >&2
done
