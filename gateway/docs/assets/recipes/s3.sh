# Through a file: in a pipe a failed request would leave an empty object.
curl -sS -H "X-API-Key: xyl_your_api_key_here" -F image=@photo.jpg --fail-with-body \
  "http://127.0.0.1:8000/api/v1/mask?format=png" -o masked.png &&
  aws s3 cp masked.png s3://my-bucket/masked/photo.png
