#include "parcel.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 65536 /* of a variable; the kernel takes twice as much */

/* Every word with its zero, one after the other, cut where a variable is full.  %XX is the byte XX;
 * every other character is itself. */

static bool is_itself(unsigned char byte)
{
    return isascii(byte) && (isalnum(byte) || (byte && strchr("_./-+:=,@", byte)));
}

const char *parcel_name(int index)
{
    static char names[PARCEL_MOST][32];
    (void)snprintf(names[index], sizeof names[index], "RANKPOOL_WORDS%d", index);
    return names[index];
}

int parcel_pack(char *const *words, int count)
{
    static char text[LONGEST];
    size_t used = 0;
    int variables = 0;
    for (int i = 0; i < count; i++) {
        size_t size = strlen(words[i]) + 1;
        for (size_t at = 0; at < size; at++) {
            unsigned char byte = (unsigned char)words[i][at];
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     is_itself(byte) ? "%c" : "%%%02X", byte);
            if (used + sizeof "%XX" <= sizeof text && (at + 1 < size || i + 1 < count))
                continue;
            if (variables == PARCEL_MOST || setenv(parcel_name(variables++), text, 1) != 0)
                return -1;
            used = 0;
        }
    }
    return variables;
}

static int value_of(char digit)
{
    return digit <= '9' ? digit - '0' : digit - 'A' + 10;
}

static char *unpack(const char *packed, char *to)
{
    for (; *packed; packed++) {
        bool is_coded = packed[0] == '%' && packed[1] && packed[2];
        *to++ = is_coded ? (char)(value_of(packed[1]) * 16 + value_of(packed[2])) : *packed;
        packed += is_coded ? 2 : 0;
    }
    return to;
}

char **parcel_unpack(int count)
{
    size_t words = 0;
    if (count < 0 || count > PARCEL_MOST)
        return NULL;
    char *text = malloc((size_t)count * LONGEST), *end = text;
    for (int i = 0; text && i < count; i++) {
        const char *packed = getenv(parcel_name(i));
        if (!packed || strlen(packed) >= LONGEST) {
            free(text);
            return NULL;
        }
        end = unpack(packed, end);
        (void)unsetenv(parcel_name(i));
    }
    for (const char *at = text; at < end; at++)
        words += *at == '\0';
    size_t size = (size_t)(end - text), head = (words + 1) * sizeof(char *);
    char **list = text ? malloc(head + size) : NULL;
    if (list) {
        char *word = memcpy((char *)list + head, text ? text : "", size);
        for (size_t i = 0; i < words; i++, word += strlen(word) + 1)
            list[i] = word;
        list[words] = NULL;
    }
    free(text);
    return list;
}
