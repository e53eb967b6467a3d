curl -s -H "X-API-Key: xyl_your_api_key_here" -F image=@photo.jpg \
  http://127.0.0.1:8000/api/v1/detect | jq .summary.face_count
