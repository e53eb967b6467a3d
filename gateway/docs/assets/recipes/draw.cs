using System.Text.Json;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Drawing.Processing;
using SixLabors.ImageSharp.Processing;

using var client = new HttpClient();
client.DefaultRequestHeaders.Add("X-API-Key", "xyl_your_api_key_here");

using var content = new MultipartFormDataContent();
content.Add(new ByteArrayContent(File.ReadAllBytes("photo.jpg")), "image", "photo.jpg");

var response = await client.PostAsync("http://127.0.0.1:8000/api/v1/detect", content);
using var data = JsonDocument.Parse(await response.Content.ReadAsStringAsync());

// Boxes are of the upright picture: AutoOrient turns it as its orientation says.
using var image = Image.Load("photo.jpg");
image.Mutate(picture => picture.AutoOrient());
foreach (var face in data.RootElement.GetProperty("detections").EnumerateArray())
{
    var box = face.GetProperty("bbox");
    float Side(string name) => box.GetProperty(name).GetSingle();
    var rectangle = new RectangleF(Side("x1"), Side("y1"), Side("x2") - Side("x1"), Side("y2") - Side("y1"));
    image.Mutate(picture => picture.Draw(Color.Red, 3, rectangle));
}
await image.SaveAsJpegAsync("annotated.jpg");
