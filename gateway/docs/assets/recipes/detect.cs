using System.Text.Json;

using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

using var content = new MultipartFormDataContent();
content.Add(new ByteArrayContent(File.ReadAllBytes("photo.jpg")), "image", "photo.jpg");

var response = await client.PostAsync("http://127.0.0.1:8000/api/v1/detect?confidence=0.6", content);
response.EnsureSuccessStatusCode();

using var data = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
foreach (var face in data.RootElement.GetProperty("detections").EnumerateArray())
{
    var (confidence, box) = (face.GetProperty("confidence"), face.GetProperty("bbox"));
    Console.WriteLine($"{confidence}: {box}");
}
