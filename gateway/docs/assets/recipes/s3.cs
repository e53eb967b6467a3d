using Amazon.S3;
using Amazon.S3.Model;

using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

using var content = new MultipartFormDataContent();
content.Add(new ByteArrayContent(File.ReadAllBytes("photo.jpg")), "image", "photo.jpg");

var response = await client.PostAsync("http://127.0.0.1:8000/api/v1/mask?format=png", content);
response.EnsureSuccessStatusCode();

using var s3 = new AmazonS3Client();
await s3.PutObjectAsync(new PutObjectRequest
{
    BucketName = "my-bucket",
    Key = "masked/photo.png",
    InputStream = await response.Content.ReadAsStreamAsync(),
});
