# The picture comes from another program, and no file is written before the masked one.
cat photo.jpg | curl -H "X-API-Key: xyl_your_api_key_here" -F "image=@-;filename=image" --fail-with-body \
  "http://127.0.0.1:8000/api/v1/mask?method=elliptical&padding=0.3" -o masked.jpg
