using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

using var content = new MultipartFormDataContent();
content.Add(new ByteArrayContent(File.ReadAllBytes("photo.jpg")), "image", "photo.jpg");

var response = await client.PostAsync("http://127.0.0.1:8000/api/v1/mask?method=solid", content);
response.EnsureSuccessStatusCode();

await File.WriteAllBytesAsync("masked.jpg", await response.Content.ReadAsByteArrayAsync());
var faces = response.Headers.GetValues("X-Face-Count").First();
Console.WriteLine($"Masked {faces} face(s)");
