using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

byte[] picture = File.ReadAllBytes("photo.jpg"); // from wherever you have it

using var content = new MultipartFormDataContent();
content.Add(new ByteArrayContent(picture), "image", "image.jpg");

var response = await client.PostAsync("http://127.0.0.1:8000/api/v1/mask?method=elliptical&padding=0.3", content);
response.EnsureSuccessStatusCode();

byte[] masked = await response.Content.ReadAsByteArrayAsync();
Console.WriteLine($"{response.Content.Headers.ContentType}, {masked.Length} bytes");
