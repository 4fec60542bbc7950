/* Reads a PNG picture and prints its size, then a letter for each pixel: '#' black, '.' mostly
 * blue, 'o' any other. So a test can compare a picture with text that a person can look at too. */
#include <png.h>

#include <stdio.h>
#include <stdlib.h>

static char letter_of(const unsigned char *pixel)
{
    if (pixel[0] == 0 && pixel[1] == 0 && pixel[2] == 0)
        return '#';
    return pixel[2] > pixel[0] && pixel[2] > pixel[1] ? '.' : 'o';
}

int main(int argc, char **argv)
{
    png_image image = { .version = PNG_IMAGE_VERSION };
    unsigned char *pixels = NULL;

    if (argc != 2 || !png_image_begin_read_from_file(&image, argv[1]))
        goto failed;
    image.format = PNG_FORMAT_RGB;
    pixels = malloc(PNG_IMAGE_SIZE(image));
    if (pixels == NULL || !png_image_finish_read(&image, NULL, pixels, 0, NULL))
        goto failed;
    printf("%u x %u\n", (unsigned)image.width, (unsigned)image.height);
    for (size_t i = 0; i < (size_t)image.width * image.height; i++) {
        putchar(letter_of(pixels + 3 * i));
        if ((i + 1) % image.width == 0)
            putchar('\n');
    }
    free(pixels);
    return fflush(stdout) != 0;
failed:
    fprintf(stderr, "png_chart: %s\n", image.message);
    free(pixels);
    return 1;
}
